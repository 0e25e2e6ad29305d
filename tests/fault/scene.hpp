// SPDX-License-Identifier: Apache-2.0
// What the fault tests share: embedded trainers that count what they execute, a client that reaches them through the
// fault proxy and is impatient, and the list of the cases that must be there.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <boost/test/unit_test.hpp>

#include <gradwire/loopback/server.hpp>
#include <gradwire/loss/sft_nll.hpp>
#include <gradwire/trainer.hpp>
#include <gradwire/transport/operation.hpp>
#include <gradwire/transport/runtime.hpp>

#include "../support/long_run.hpp"
#include "fault_proxy.hpp"

namespace faults {

using namespace gradwire;
using namespace std::chrono_literals;

// ---- the cases ----

inline std::set<std::string>& cases_that_are_there() {
  static std::set<std::string> ids;
  return ids;
}

struct case_of {
  explicit case_of(std::string_view name) { cases_that_are_there().emplace(name.substr(0, 3)); }
};

// A test case for one row of the table of faults; its name begins with the row's id.
#define FAULT_CASE(name)                                   \
  static const ::faults::case_of registered_##name{#name}; \
  BOOST_AUTO_TEST_CASE(name)

// ---- trainers ----

inline std::uint16_t port_of(const loopback::server& server) { return parse_url(server.endpoint().url).port; }

// One for each policy, for the whole program.
inline loopback::server& shared_server(loopback::sequence_policy policy = loopback::sequence_policy::dedupe) {
  static std::map<loopback::sequence_policy, loopback::server> servers;
  const auto found = servers.find(policy);
  if (found != servers.end()) return found->second;
  return servers.emplace(policy, loopback::start({.token = "tml-canary-of-the-fault-tests", .sequence = policy}))
      .first->second;
}

inline constexpr std::string_view canary = "tml-canary-of-the-fault-tests";

// ---- the client ----

// Every limit is short, so that a fault is over soon; the pauses are long enough for the budget.
inline connect_options impatient() {
  connect_options o;
  o.retry.first_pause_seconds = 0.005;
  o.retry.longest_pause_seconds = 0.05;
  o.retry.unreachable_seconds = 0.8;
  o.retry.submit_timeout_seconds = 0.3;
  o.retry.poll_timeout_seconds = 0.3;
  o.retry.payment_pause_seconds = 0.03;
  o.first_contact_seconds = 1;
  o.operation_timeout_seconds = 2;
  o.heartbeat_seconds = 0;
  return o;
}

inline datum<field_list<>> sequence(std::vector<int> question, std::vector<int> answer) {
  return datum{prompt(std::move(question)) + response(std::move(answer))};
}

inline auto small_batch() {
  return batch{sequence({72, 105, 33}, {65, 66, 67, 68}), sequence({50, 43, 50, 61}, {52}),
               sequence({1, 2}, {3, 4, 5, 6, 7, 8})};
}

struct scene {
  loopback::server& server;
  fault_proxy proxy;
  std::mutex mutex;
  std::vector<client_event> events;
  service_client service;
  training_client trainer;
  loopback::operation_counts before;
  std::size_t first_entry = 0;  // of the log, after the model was made

  explicit scene(std::vector<rule> rules = {}, connect_options how = impatient(),
                 loopback::server& of = shared_server(), bool from_the_start = false)
      : server(of),
        proxy(port_of(of), from_the_start ? rules : std::vector<rule>{}),
        service(connect(how)),
        trainer(service.create_training_client({.base_model = server.model(), .lora_rank = 2, .seed = 7}).result()),
        before(server.executed()) {
    first_entry = proxy.log().size();
    if (!from_the_start) proxy.set(std::move(rules));
  }

  service_client connect(connect_options how) {
    how.on_event = [this](const client_event& e) {
      std::lock_guard lock(mutex);
      events.push_back(e);
    };
    return service_client::connect(endpoint{proxy.url(), std::string(canary)}, how);
  }

  std::int64_t steps() const { return server.executed().optim_step - before.optim_step; }
  std::int64_t passes() const { return server.executed().forward_backward - before.forward_backward; }

  // Requests that reached the proxy after the model was made, by the end of their path.
  int arrived(std::string_view path) const {
    int n = 0;
    const auto log = proxy.log();
    for (std::size_t i = first_entry; i < log.size(); ++i) n += log[i].path.ends_with(path);
    return n;
  }
  bool saw(client_event::type what, std::string_view detail = {}) {
    std::lock_guard lock(mutex);
    for (const auto& e : events)
      if (e.what == what && e.detail.find(detail) != std::string::npos) return true;
    return false;
  }

  // Every attempt of an operation sends the same bytes, number and key (I03, I04).
  void check_attempts() const {
    std::map<std::string, log_entry> first;
    for (const auto& each : proxy.log()) {
      if (each.key.empty() || each.sha.empty()) continue;
      const auto [known, is_new] = first.emplace(each.key, each);
      if (is_new) continue;
      BOOST_TEST(known->second.sha == each.sha, each.path << ": another attempt has another body");
      BOOST_TEST(known->second.seq_id == each.seq_id, each.path << ": another attempt has another seq_id");
    }
    std::set<std::string> keys;  // and one operation has one key
    std::map<std::pair<std::string, std::string>, std::string> key_of;
    for (const auto& each : proxy.log()) {
      if (each.key.empty() || each.sha.empty() || each.seq_id < 0) continue;
      const auto [known, is_new] = key_of.emplace(std::pair{each.path, each.sha}, each.key);
      if (!is_new) BOOST_TEST(known->second == each.key, each.path << ": another attempt has another key");
    }
  }
};

// ---- outcomes ----

struct verdict {
  std::optional<errc> kind{};  // nothing: it succeeded
  std::string text{};
  error_details details{};
  double seconds = 0;
};

inline std::string show(const verdict& v) { return v.kind ? std::string(to_string(*v.kind)) + ": " + v.text : "ok"; }

inline verdict verdict_of(const std::function<void()>& call) {
  verdict v;
  const auto begun = std::chrono::steady_clock::now();
  try {
    call();
  } catch (const error& e) {
    v.kind = e.kind();
    v.text = e.what();
    v.details = e.details();
  }
  v.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  BOOST_TEST(v.text.find(canary) == std::string::npos, "the key is in an error");
  return v;
}

inline void must_be(const verdict& v, std::optional<errc> kind, const std::vector<std::string>& words = {}) {
  BOOST_TEST((v.kind == kind), "expected " << (kind ? to_string(*kind) : "ok") << ", got " << show(v));
  for (const auto& word : words)
    BOOST_TEST(v.text.find(word) != std::string::npos, "'" << word << "' is not in: " << show(v));
}

}  // namespace faults
