// SPDX-License-Identifier: Apache-2.0
// Which samples of a sampling session have finished, for clients that wait for many at once (retrieve_futures). A
// cursor counts the events of a session; those before it are forgotten. Used on the server's thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/wire/messages_access.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

class completion_table {
 public:
  using answer_type = std::function<void(const wire::retrieve_futures_reply&)>;

  // The request belongs to this session and client from now on.
  void expect(const std::string& session, std::int64_t client, const std::string& request_id) {
    owner_.insert_or_assign(request_id, key(session, client));
  }

  void finish(const std::string& request_id, bool succeeded) {
    const auto found = owner_.find(request_id);
    if (found == owner_.end()) return;
    feed& it = feeds_[found->second];
    owner_.erase(found);
    it.events.push_back({.state = succeeded ? "finished" : "failed", .request_id = request_id});
    if (it.events.size() > most) {  // nobody asks
      it.events.pop_front();
      ++it.first;
    }
    for (auto& waiter : std::exchange(it.waiters, {})) waiter.answer(reply(it, waiter.cursor));
  }

  // Answers at once where something is new after `cursor`; else a number to give up by.
  std::uint64_t ask(const std::string& session, std::int64_t client, std::int64_t cursor, answer_type answer) {
    feed& it = feeds_[key(session, client)];
    while (!it.events.empty() && it.first < cursor) {
      it.events.pop_front();
      ++it.first;
    }
    if (!it.events.empty()) {
      answer(reply(it, cursor));
      return 0;
    }
    it.waiters.push_back({++asked_, cursor, std::move(answer)});
    return asked_;
  }

  void give_up(const std::string& session, std::int64_t client, std::uint64_t number) {
    feed& it = feeds_[key(session, client)];
    for (auto each = it.waiters.begin(); each != it.waiters.end(); ++each)
      if (each->number == number) {
        const auto waiter = std::move(*each);
        it.waiters.erase(each);
        return waiter.answer(reply(it, waiter.cursor));
      }
  }

 private:
  static constexpr std::size_t most = 100'000;
  struct waiting {
    std::uint64_t number = 0;
    std::int64_t cursor = 0;
    answer_type answer{};
  };
  struct feed {
    std::int64_t first = 0;  // number of the first event that is kept
    std::deque<wire::future_completion> events{};
    std::vector<waiting> waiters{};
  };

  static std::string key(const std::string& session, std::int64_t client) {
    return session + "#" + std::to_string(client);
  }
  static wire::retrieve_futures_reply reply(const feed& it, std::int64_t cursor) {
    wire::retrieve_futures_reply made{.cursor = it.first + static_cast<std::int64_t>(it.events.size())};
    for (std::size_t i = 0; i < it.events.size(); ++i)
      if (it.first + static_cast<std::int64_t>(i) >= cursor) made.completions.push_back(it.events[i]);
    return made;
  }

  std::map<std::string, std::string> owner_;
  std::map<std::string, feed> feeds_;
  std::uint64_t asked_ = 0;
};

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
