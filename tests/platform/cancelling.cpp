// SPDX-License-Identifier: Apache-2.0
// A call that is given up: what it waits for is given up with it, and what may have been done is told by name. The same of
// a run that is being opened.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <gradwire/platform/impl/flow.hpp>
#include <gradwire/platform/lifecycle.hpp>

#include "../support/temporary_folder.hpp"
#include "played.hpp"

using namespace playing;
namespace pf = gradwire::platform;
using pf::detail::flow;
using pf::detail::task;

BOOST_AUTO_TEST_SUITE(cancelling)

namespace {

const std::string job_path = std::string(jobs_path) + "/grpo-1";

// A call that waits for another one, and counts what it does after it.
template <class T>
struct outer_call {
  future<T> inner;
  int went_on = 0;
};
template <class T>
future<T> around(const pf::client& client, const std::shared_ptr<outer_call<T>>& of) {
  return pf::detail::start<T>(client.handle(), [of](flow& f) -> task<T> {
    T made = co_await pf::detail::wait_for(f, std::move(of->inner));
    ++of->went_on;
    co_return made;
  });
}

// A run whose policy job, grpo-1, was there before and never gets its hardware. `at_20` happens when it is looked at 20
// seconds after the beginning.
struct opened_run {
  temporary_folder folder{folder_in_memory()};
  std::shared_ptr<played> net;
  std::optional<pf::client> client;
  std::optional<pf::lifecycle> run;
  std::optional<future<pf::lifecycle_parts>> opening;
  std::function<void()> at_20 = [] {};
  int told = 0, told_late = 0;  // of on_progress

  void open(pf::lifecycle_plan plan) {
    scene s;
    net = s.net;
    client.emplace(s.client);
    net->on("GET", job_path, [this](const seen&) {
      if (net->seconds() == 20) at_20();
      return reply_with(job("grpo-1", "JOB_STATE_PENDING"));
    });
    plan.training_shape = shape_id;
    plan.base_model = "accounts/fireworks/models/qwen3-8b";
    plan.trainer_job_id = "grpo-1";
    pf::lifecycle_options options;
    options.journal = (folder.path / "run.jsonl").string();
    options.job_wait.poll_seconds = options.deployment_wait.poll_seconds = 5;
    options.keep_on_failure = true;
    options.on_progress = [this](const pf::wait_progress&) {
      ++told;
      if (opening) told_late += opening->ready();
    };
    run.emplace(*client, std::move(plan), std::move(options));
    opening.emplace(run->open());
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(with_a_call_the_one_that_it_waits_for_is_cancelled) {
  scene s;
  s.net->on("GET", job_path, {reply_with(job("grpo-1", "JOB_STATE_CREATING"))});
  const auto made = s.get(s.client.trainer_jobs().attach_policy("grpo-1"));
  std::optional<future<pf::policy_job>> waiting;
  s.net->on("GET", job_path, [&](const seen&) {
    if (s.net->seconds() >= 20) waiting->cancel();
    return reply_with(job("grpo-1", "JOB_STATE_CREATING"));
  });
  const auto outer = std::make_shared<outer_call<pf::policy_job>>();
  outer->inner = s.client.trainer_jobs().wait(made, {.poll_seconds = 5});
  waiting.emplace(around(s.client, outer));
  s.net->run();
  must_fail(errc::closed, {"cancelled"}, [&] { static_cast<void>(waiting->result()); });
  BOOST_TEST(s.net->log.back().at == 20.0);  // the inner one would have looked for an hour
  BOOST_TEST(outer->went_on == 0);
}

BOOST_AUTO_TEST_CASE(what_the_inner_call_ends_with_is_the_end_of_both) {
  scene s;
  std::optional<future<pf::policy_job>> waiting;
  s.net->on("POST", jobs_path, [&](const seen&) {
    waiting->cancel();
    return lost();
  });
  const auto outer = std::make_shared<outer_call<pf::policy_job>>();
  outer->inner = s.client.trainer_jobs().create(s.job_config());
  waiting.emplace(around(s.client, outer));
  s.net->run();
  must_fail(errc::outcome_unknown, {"create trainer job grpo-1: cancelled", "may or may not", "remove(\"grpo-1\""},
            [&] { static_cast<void>(waiting->result()); });
}

BOOST_AUTO_TEST_CASE(what_cannot_be_cancelled_is_let_go) {
  scene s;
  promise<int> never;
  const auto outer = std::make_shared<outer_call<int>>();
  outer->inner = never.get_future();
  auto waiting = around(s.client, outer);
  s.net->run();
  waiting.cancel();
  s.net->run();
  must_fail(errc::closed, {"cancelled; nothing more is sent"}, [&] { static_cast<void>(waiting.result()); });
  BOOST_TEST(never.set_value(1));
  s.net->run();
  BOOST_TEST(outer->went_on == 0);
}

BOOST_AUTO_TEST_CASE(a_client_that_goes_away_cancels_what_its_calls_wait_for) {
  auto net = std::make_shared<played>();
  auto client = std::make_unique<pf::client>(pf::client::connect_through(net, {"https://api.example.com", key}));
  promise<int> elsewhere;  // of another client
  bool is_cancelled = false;
  elsewhere.on_cancel([&] { is_cancelled = true; });
  const auto outer = std::make_shared<outer_call<int>>();
  outer->inner = elsewhere.get_future();
  const auto waiting = around(*client, outer);
  net->run();
  client.reset();
  net->run();
  must_fail(errc::closed, {"the client was closed"}, [&] { static_cast<void>(waiting.result()); });
  BOOST_TEST(is_cancelled);
}

BOOST_AUTO_TEST_CASE(a_create_under_way_when_the_client_goes_is_named) {
  for (const bool is_job : {true, false}) {
    auto net = std::make_shared<played>();
    auto client = std::make_unique<pf::client>(pf::client::connect_through(net, {"https://api.example.com", key}));
    net->on("GET", "/v1/accounts", {reply(200, R"({"accounts":[{"name":"accounts/acme"}]})")});
    const auto gone = [&](const seen&) {
      client.reset();
      return reply(200, "{}");
    };
    net->on("POST", jobs_path, gone);
    net->on("POST", deployments_path, gone);
    std::exception_ptr told;
    try {
      if (is_job) {
        auto made = client->trainer_jobs().create_manual({.base_model = "accounts/acme/models/m",
                                                          .job_id = "m-1",
                                                          .accelerator_type = "B200",
                                                          .accelerator_count = 8});
        net->run();
        static_cast<void>(made.result());
      } else {
        auto made = client->deployments().create_manual(
            {.deployment_id = "m-1", .base_model = "m", .accelerator_type = "B200"});
        net->run();
        static_cast<void>(made.result());
      }
    } catch (const error&) {
      told = std::current_exception();
    }
    BOOST_REQUIRE(told);
    must_fail(errc::outcome_unknown,
              {is_job ? "create trainer job m-1" : "create deployment m-1",
               "the client was closed while it was being sent", "remove(\"m-1\""},
              [&] { std::rethrow_exception(told); });
  }
}

// It was told that the id is taken, maybe by its own first attempt, and looks.
BOOST_AUTO_TEST_CASE(a_create_that_is_looked_for_when_it_is_cancelled_or_the_client_goes_is_named) {
  for (const bool is_job : {true, false})
    for (const bool is_cancelled : {true, false}) {
      auto net = std::make_shared<played>();
      auto client = std::make_unique<pf::client>(pf::client::connect_through(net, {"https://api.example.com", key}));
      net->on("GET", "/v1/accounts", {reply(200, R"({"accounts":[{"name":"accounts/acme"}]})")});
      const auto check = [&](auto made) {
        const auto gone = [&](const seen&) {
          is_cancelled ? static_cast<void>(made.cancel()) : client.reset();
          return reply(200, "{}");
        };
        for (const char* path : {jobs_path, deployments_path}) {
          net->on("POST", path, {lost(), reply(409, "{}")});
          net->on("GET", std::string(path) + "/m-1", gone);
        }
        net->run();
        must_fail(errc::outcome_unknown,
                  {is_job ? "create trainer job m-1" : "create deployment m-1",
                   is_cancelled ? "cancelled while it was looked for" : "closed while it was looked for",
                   "may or may not", "remove(\"m-1\""},
                  [&] { static_cast<void>(made.result()); });
      };
      if (is_job) {
        auto made = client->trainer_jobs().create_manual({.base_model = "accounts/acme/models/m",
                                                          .job_id = "m-1",
                                                          .accelerator_type = "B200",
                                                          .accelerator_count = 8});
        check(std::move(made));
      } else {
        auto made = client->deployments().create_manual(
            {.deployment_id = "m-1", .base_model = "m", .accelerator_type = "B200"});
        check(std::move(made));
      }
    }
}

// There is nothing to be deleted, so that it ends at once.
BOOST_AUTO_TEST_CASE(a_run_that_could_not_be_opened_waits_for_nothing_more) {
  const std::string path = std::string(deployments_path) + "/rollouts";
  for (const bool is_cancelled : {true, false}) {
    opened_run it;
    std::string state = "CREATING";
    it.at_20 = [&] {
      if (is_cancelled) it.opening->cancel();
      state = "FAILED";
    };
    it.open({.deployment = !is_cancelled, .deployment_id = is_cancelled ? "" : "rollouts"});
    it.net->on("GET", path, [&](const seen&) { return reply_with(served("rollouts", state)); });
    it.net->run();
    must_fail(is_cancelled ? errc::closed : errc::status, {is_cancelled ? "open() was cancelled" : "FAILED"},
              [&] { static_cast<void>(it.opening->result()); });
    BOOST_TEST(it.net->log.back().at <= 25.0);  // the job would be looked at for two days
    BOOST_TEST(it.told >= 5);
    BOOST_TEST(it.told_late == 0);
  }
}

BOOST_AUTO_TEST_CASE(a_run_that_goes_away_while_it_is_opened_lets_its_client_go) {
  opened_run it;
  it.at_20 = [&] {
    it.run.reset();
    it.client.reset();
  };
  it.open({.deployment = false});
  it.net->run();
  must_fail(errc::closed, {"closed"}, [&] { static_cast<void>(it.opening->result()); });
  BOOST_TEST(it.net->log.back().at == 20.0);
}

BOOST_AUTO_TEST_CASE(a_run_can_be_cancelled_before_anything_is_known_of_it) {
  for (const bool at_once : {true, false}) {
    opened_run it;
    it.open({.deployment = false});
    it.net->on("GET", "/v1/accounts", [&](const seen&) {
      if (it.net->seconds() > 5) it.opening->cancel();
      return lost();
    });
    if (at_once) BOOST_TEST(it.opening->cancel());
    it.net->run();
    must_fail(errc::closed, {"cancelled"}, [&] { static_cast<void>(it.opening->result()); });
    BOOST_TEST(it.net->seconds() < 60.0);  // of the 300 that it would try
    BOOST_TEST((it.net->log.size() == 1u) == at_once);
    BOOST_TEST(it.run->state().run.empty());
  }
}

BOOST_AUTO_TEST_SUITE_END()
