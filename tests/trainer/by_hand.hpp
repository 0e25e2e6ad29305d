// SPDX-License-Identifier: Apache-2.0
// A network whose clock stands still until a test lets it go on: no sockets, no threads, no waiting. What a server says,
// and after how many seconds, is given by the end of the path.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/test/unit_test.hpp>

#include <gradwire/trainer.hpp>

namespace by_hand {

using namespace gradwire;

struct answer {
  http_outcome outcome{};
  double after = 0.01;  // seconds
};
using answering = std::function<std::optional<answer>(const http_call&)>;  // nothing: it never answers

inline answer json(std::string body, double after = 0.01, int status = 200) {
  return {http_response{status, {{"Content-Type", "application/json"}}, std::move(body)}, after};
}
inline answering always(std::string body, double after = 0.01, int status = 200) {
  return [body, after, status](const http_call&) { return json(body, after, status); };
}
// The server has acted, and the connection is gone.
inline answer lost(double after = 0.01) {
  return {http_failure{errc::transport, true, "connection reset by peer"}, after};
}
inline answering silence() {
  return [](const http_call&) -> std::optional<answer> { return {}; };
}

class clock_network : public network {
 public:
  std::map<std::string, answering> server;  // by the end of the path
  std::vector<std::string> sent;            // paths
  int computed = 0;                         // tasks of the thread for losses

  time_point now() const override { return now_; }
  void post(std::function<void()> task) override { tasks_.push_back(std::move(task)); }
  void compute(std::function<void()> task) override {
    ++computed;
    post(std::move(task));
  }
  std::uint64_t start_timer(time_point when, std::function<void()> task) override {
    timers_.emplace(std::pair(when, ++last_timer_), std::move(task));
    return last_timer_;
  }
  void cancel_timer(std::uint64_t timer) override {
    std::erase_if(timers_, [timer](const auto& each) { return each.first.second == timer; });
  }
  void send(http_call call, std::function<void(http_outcome)> done) override {
    sent.push_back(call.request->target);
    std::optional<answer> reply = json(R"({"detail":"Not Found"})", 0.01, 404);
    for (const auto& [path, answers] : server)
      if (sent.back().ends_with(path)) reply = answers(call);
    const time_point when = reply ? now_ + in_seconds(reply->after) : call.deadline;
    if (!reply || when > call.deadline) reply = answer{http_failure{errc::timeout, true, "no answer in time"}};
    start_timer(std::min(when, call.deadline), [done = std::move(done), reply] { done(reply->outcome); });
  }

  // Lets time pass: everything that is due, in order.
  void pass(double seconds) {
    const time_point end = now_ + in_seconds(seconds);
    while (step(end)) continue;
    now_ = end;
  }
  // … until the future is finished; how many seconds that took.
  template <class T>
  double wait(const future<T>& awaited, double most = 3600) {
    const time_point begun = now_;
    while (!awaited.ready() && step(begun + in_seconds(most))) continue;
    BOOST_REQUIRE_MESSAGE(awaited.ready(), "not finished after " << most << " s");
    return std::chrono::duration<double>(now_ - begun).count();
  }
  int count(std::string_view path) const {
    int n = 0;
    for (const auto& each : sent) n += each.ends_with(path);
    return n;
  }

 private:
  bool step(time_point end) {
    std::function<void()> task;
    if (!tasks_.empty()) {
      task = std::move(tasks_.front());
      tasks_.pop_front();
    } else if (!timers_.empty() && timers_.begin()->first.first <= end) {
      now_ = std::max(now_, timers_.begin()->first.first);
      task = std::move(timers_.begin()->second);
      timers_.erase(timers_.begin());
    } else {
      return false;
    }
    task();
    return true;
  }

  time_point now_{std::chrono::hours(1000)};
  std::deque<std::function<void()>> tasks_;
  std::map<std::pair<time_point, std::uint64_t>, std::function<void()>> timers_;
  std::uint64_t last_timer_ = 0;
};

inline connect_options ten_seconds() {
  connect_options o;
  o.operation_timeout_seconds = 10;
  o.heartbeat_seconds = 0;
  o.order = wire::sequencing::unknown;  // nothing is recognised
  return o;
}

// A server with a session "s" whose models are s:train:0, s:train:1 …, and a client of it.
struct scene {
  std::shared_ptr<clock_network> net = std::make_shared<clock_network>();
  service_client service;

  explicit scene(const connect_options& how = ten_seconds(), const std::string& address = "http://127.0.0.1:1")
      : service(service_client::connect_through(net, endpoint{address, "tml-own-key"}, how)) {
    net->server["/client/config"] = always(R"({"server":"gradwire"})");
    net->server["/create_session"] = always(R"({"session_id":"s"})");
    net->server["/create_model"] = [made = 0](const http_call&) mutable {
      const std::string id = "s:train:" + std::to_string(made++);
      return json(R"({"request_id":")" + id + R"(","model_id":")" + id + "\"}");
    };
    net->server["/retrieve_future"] = [](const http_call& call) {  // {"request_id":"s:train:0",…
      const std::string& asked = call.request->body;
      const auto begin = asked.find(':') + 2;
      return json(R"({"path":"tinker://s:train:0/weights/a","model_id":")" +
                  asked.substr(begin, asked.find('"', begin) - begin) + "\"}");
    };
  }
  future<training_client> create() { return service.create_training_client({.base_model = "m", .lora_rank = 2}); }
  training_client trainer() {
    auto made = create();
    net->wait(made);
    return std::move(made).result();
  }
};

template <class T>
error failure_of(clock_network& net, future<T>& ended, errc kind) {
  net.wait(ended);
  try {
    ended.result();
  } catch (const error& e) {
    BOOST_TEST(to_string(e.kind()) == to_string(kind), e.what());
    return e;
  }
  BOOST_FAIL("no error");
  throw 0;
}

inline bool says(const error& e, std::string_view part) {
  return std::string_view(e.what()).find(part) != std::string_view::npos;
}

}  // namespace by_hand
