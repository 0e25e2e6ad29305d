// SPDX-License-Identifier: Apache-2.0
// Help for the client's tests: the real network with a record of every request, and faults where a test asks for them.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <boost/test/unit_test.hpp>

#include <gradwire/loopback.hpp>
#include <gradwire/trainer.hpp>
#include <gradwire/transport/runtime.hpp>
#include <gradwire/wire/json_codec.hpp>
#include <gradwire/wire/protobuf.hpp>

#include "../support/larger.hpp"

namespace spying {

using namespace gradwire;

enum class fault { none, refuse, lose_reply, answer };

struct exchange {
  std::string target;
  std::string content_type;
  std::string body;
  std::string key;
};

class spy : public network {
 public:
  time_point now() const override { return real_.now(); }
  void post(std::function<void()> task) override { real_.post(std::move(task)); }
  std::uint64_t start_timer(time_point when, std::function<void()> task) override {
    return real_.start_timer(when, std::move(task));
  }
  void cancel_timer(std::uint64_t timer) override { real_.cancel_timer(timer); }
  void compute(std::function<void()> task) override { real_.compute(std::move(task)); }

  void send(http_call call, std::function<void(http_outcome)> done) override {
    fault what = fault::none;
    http_response reply;
    {
      std::lock_guard lock(mutex_);
      log_.push_back({call.request->target, std::string(call.request->header("Content-Type")), call.request->body,
                      call.to->key.reveal()});
      if (on_request_) what = on_request_(log_.back(), reply);
    }
    if (what == fault::refuse) {
      real_.post([done] { done(http_failure{errc::transport, false, "connection refused (by the test)"}); });
    } else if (what == fault::answer) {
      real_.post([done, reply] { done(reply); });
    } else if (what == fault::lose_reply) {
      real_.send(std::move(call), [done](http_outcome) {
        done(http_failure{errc::transport, true, "connection reset (by the test)"});
      });
    } else {
      real_.send(std::move(call), std::move(done));
    }
  }

  // Called with each request before it goes; what it returns happens to it.
  void on_request(std::function<fault(const exchange&, http_response&)> f) {
    std::lock_guard lock(mutex_);
    on_request_ = std::move(f);
  }

  std::vector<exchange> log() const {
    std::lock_guard lock(mutex_);
    return log_;
  }
  // Requests whose path ends so, apart from polls and heartbeats.
  std::size_t count(std::string_view path_end) const {
    std::size_t n = 0;
    for (const auto& e : log()) n += e.target.ends_with(path_end);
    return n;
  }
  // Everything that trains, saves or samples: what "nothing was sent" is about.
  std::size_t operations() const {
    std::size_t n = 0;
    for (const auto& e : log()) {
      for (const char* path : {"/forward_backward", "/forward", "/optim_step", "/save_weights",
                               "/save_weights_for_sampler", "/load_weights", "/asample"}) {
        n += e.target.ends_with(path);
      }
    }
    return n;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<exchange> log_;
  std::function<fault(const exchange&, http_response&)> on_request_;
  runtime real_;  // last, so that its thread has ended before the rest goes
};

inline connect_options quick() {
  connect_options o;
  o.retry.first_pause_seconds = 0.01;
  o.retry.longest_pause_seconds = 0.05;
  o.retry.unreachable_seconds = 1;
  o.first_contact_seconds = 1;
  o.operation_timeout_seconds = 60;
  return o;
}

// An embedded trainer, a service with a spy in between, and one model.
struct bench {
  loopback::server server;
  std::shared_ptr<spy> net = std::make_shared<spy>();
  service_client service;
  training_client trainer;

  explicit bench(loopback::start_options options = {}, const connect_options& how = quick(), int rank = 4)
      : server(loopback::start(std::move(options))),
        service(service_client::connect_through(net, server.endpoint(), how)),
        trainer(service.create_training_client({.base_model = server.model(), .lora_rank = rank, .seed = 7}).result()) {
  }

  training_client another(int rank = 4) {
    return service.create_training_client({.base_model = server.model(), .lora_rank = rank, .seed = 7}).result();
  }
};

// Runs f, which must throw a gradwire::error of this kind whose text has all parts.
template <class F>
error must_fail(errc kind, std::initializer_list<const char*> parts, F&& f) {
  try {
    f();
  } catch (const error& e) {
    BOOST_TEST(to_string(e.kind()) == to_string(kind), "expected " << to_string(kind) << ": " << e.what());
    for (const char* part : parts)
      BOOST_TEST(std::string_view(e.what()).find(part) != std::string_view::npos, e.what() << " lacks: " << part);
    return e;
  }
  BOOST_FAIL("no error was thrown");
  throw 0;
}

inline datum<field_list<>> sequence(std::vector<int> question, std::vector<int> answer) {
  return datum{prompt(std::move(question)) + response(std::move(answer))};
}

// A small supervised batch: three sequences of different lengths in two groups.
inline auto supervised() {
  return batch{group(sequence({72, 105, 33}, {65, 66, 67, 68}), sequence({50, 43, 50, 61}, {52})),
               group(sequence({1, 2}, {3, 4, 5, 6, 7, 8}))};
}

template <class T>
std::vector<float> flat(const column<T>& logprobs) {
  std::vector<float> all;
  for (std::size_t s = 0; s < logprobs.shape().sequences(); ++s) {
    for (T x : logprobs[s]) all.push_back(static_cast<float>(x));
  }
  return all;
}

inline double largest_difference(const column<float>& a, const column<float>& b) {
  const auto x = flat(a), y = flat(b);
  BOOST_REQUIRE(x.size() == y.size());
  double largest = 0;
  for (std::size_t i = 0; i < x.size(); ++i) largest = larger(largest, std::abs(x[i] - y[i]));
  return largest;
}

// With eps far above the gradient, Adam's first step is lr / eps times the gradient: linear, so it shows the gradient.
inline const optim_step_options linear_step{.learning_rate = 3e3, .eps = 1e5};

}  // namespace spying
