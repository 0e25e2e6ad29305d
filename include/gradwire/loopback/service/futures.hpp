// SPDX-License-Identifier: Apache-2.0
// The server's futures: an operation's result, kept until it was fetched and some time beyond, and the polls that wait
// for it. Used on the server's thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gradwire/loopback/service/reply.hpp>
#include <gradwire/transport/http_server.hpp>
#include <gradwire/wire/outcome.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

// A result that is JSON in any case, or one that also has a protobuf form; or a failure.
struct finished {
  std::variant<std::string, wire::forward_backward_reply, wire::sample_reply> result{};
  int status = 200;        // else the failure's
  std::string sentence{};  // of the failure
};

class future_table {
 public:
  static constexpr std::size_t most_kept_bytes = std::size_t{128} << 20;
  static constexpr std::size_t most_dropped = 65536;

  // Ids begin with `prefix`, another one for each start of the server: an id from before is unknown, not another's.
  explicit future_table(std::string prefix) : prefix_(std::move(prefix)) {}

  std::string create() {
    std::string id = prefix_ + std::to_string(++last_);
    futures_.emplace(id, record{});
    return id;
  }

  // One that was made before a restart, with its outcome.
  void restore(const std::string& id, finished outcome) {
    record made;
    made.outcome = std::move(outcome);
    made.done = true;
    futures_.insert_or_assign(id, std::move(made));
  }

  void finish(const std::string& id, finished outcome) {
    const auto found = futures_.find(id);
    if (found == futures_.end() || found->second.done) return;
    record& it = found->second;
    it.outcome = std::move(outcome);
    it.done = true;
    auto waiters = std::exchange(it.waiters, {});
    for (auto& [poll, waiter] : waiters) answer(id, it, waiter);
  }

  // Answers now, or when the future finishes; returns the poll's number to give up by, 0 when it was answered.
  std::uint64_t retrieve(const std::string& id, bool protobuf, http_server::responder respond) {
    const auto found = futures_.find(id);
    if (found == futures_.end()) {
      respond(detail_reply(404, "Future not found"));
      return 0;
    }
    record& it = found->second;
    waiting waiter{protobuf, std::move(respond)};
    if (it.done) {
      answer(id, it, waiter);
      return 0;
    }
    it.waiters.emplace_back(++polls_, std::move(waiter));
    return polls_;
  }

  void give_up(const std::string& id, std::uint64_t poll, const http_response& with) {
    const auto found = futures_.find(id);
    if (found == futures_.end()) return;
    auto& waiters = found->second.waiters;
    for (auto it = waiters.begin(); it != waiters.end(); ++it)
      if (it->first == poll) {
        auto respond = std::move(it->second.respond);
        waiters.erase(it);
        return respond(with);
      }
  }

 private:
  struct waiting {
    bool protobuf = false;
    http_server::responder respond;
  };
  struct record {
    finished outcome{};
    bool done = false;
    bool fetched = false;
    bool dropped = false;
    std::vector<std::pair<std::uint64_t, waiting>> waiters{};
  };

  void answer(const std::string& id, record& it, waiting& waiter) {
    if (it.dropped) return waiter.respond(detail_reply(410, "the result of this future is no longer kept"));
    if (it.outcome.status != 200) {
      auto refused = detail_reply(it.outcome.status, it.outcome.sentence);
      keep_for_now(id, it, refused.body.size());
      return waiter.respond(std::move(refused));
    }
    auto reply = std::visit([&](const auto& result) { return encode(result, waiter.protobuf); }, it.outcome.result);
    keep_for_now(id, it, reply.body.size());
    waiter.respond(std::move(reply));
  }

  static http_response encode(const std::string& json, bool) { return json_reply(json); }
  template <class Result>
  static http_response encode(const Result& result, bool protobuf) {
    if (!protobuf) return message_reply(result);
    return {200, {{"Content-Type", "application/x-protobuf"}}, wire::to_protobuf(result)};
  }

  // A fetched result may be asked for again, when the answer was lost; the oldest of them go first, and of those that
  // went the oldest are forgotten: a future that nobody knows.
  void keep_for_now(const std::string& id, record& it, std::size_t bytes) {
    if (std::exchange(it.fetched, true)) return;
    bytes += sizeof(record);
    kept_.emplace_back(id, bytes);
    kept_bytes_ += bytes;
    while (kept_bytes_ > most_kept_bytes && kept_.size() > 1) {
      const auto [oldest, size] = kept_.front();
      kept_.pop_front();
      kept_bytes_ -= size;
      record& gone = futures_.at(oldest);
      gone.outcome = {};
      gone.dropped = true;
      dropped_.push_back(oldest);
      if (dropped_.size() > most_dropped) {
        futures_.erase(dropped_.front());
        dropped_.pop_front();
      }
    }
  }

  const std::string prefix_;
  std::map<std::string, record> futures_;
  std::deque<std::pair<std::string, std::size_t>> kept_;
  std::deque<std::string> dropped_;
  std::size_t kept_bytes_ = 0;
  std::uint64_t last_ = 0;
  std::uint64_t polls_ = 0;
};

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
