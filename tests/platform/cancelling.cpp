// SPDX-License-Identifier: Apache-2.0
// A call that is given up: what it waits for is given up with it, and what may have been done is told by name.
#include <optional>

#include <gradwire/platform/impl/flow.hpp>

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

BOOST_AUTO_TEST_SUITE_END()
