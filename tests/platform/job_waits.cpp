// SPDX-License-Identifier: Apache-2.0
// What the states of a trainer job mean to a wait, and jobs that have stopped.
#include "played.hpp"

using namespace playing;
namespace pf = gradwire::platform;

BOOST_AUTO_TEST_SUITE(job_waits)

namespace {

std::string job_path(const std::string& id = "grpo-1") { return std::string(jobs_path) + "/" + id; }
std::string health_path(const std::string& id = "grpo-1") {
  return "/training/v1/rlorTrainerJobs/acme/" + id + "/api/v1/healthz";
}

std::vector<http_outcome> states(std::initializer_list<const char*> all) {
  std::vector<http_outcome> answers;
  for (const char* state : all) answers.push_back(reply_with(job("grpo-1", state)));
  return answers;
}

pf::policy_job attached(scene& s) {
  s.net->on("GET", job_path(), states({"JOB_STATE_CREATING"}));
  return s.get(s.client.trainer_jobs().attach_policy("grpo-1"));
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_wait_ends_when_the_trainer_answers_through_the_gateway) {
  scene s;
  const auto before = attached(s);
  s.net->on("GET", job_path(),
            states({"JOB_STATE_PENDING", "JOB_STATE_CREATING", "JOB_STATE_DREAMING", "JOB_STATE_RUNNING"}));
  s.net->on("GET", health_path(), {reply(503, "{}"), refused(), reply(200, "{}")});
  std::vector<std::string> told;
  const auto ready = s.get(s.client.trainer_jobs().wait(before, {.poll_seconds = 5}, [&](const pf::wait_progress& p) {
    told.push_back(p.state);
    BOOST_TEST(p.what == "trainer job grpo-1");
  }));
  BOOST_TEST(ready.url() == "https://api.example.com/training/v1/rlorTrainerJobs/acme/grpo-1");
  BOOST_TEST(told.size() == 6u);
  BOOST_TEST(s.net->seconds() == 25.0);
  const auto& health = s.net->last("GET", health_path());
  BOOST_TEST(health.key == key);
  BOOST_TEST(health.bearer);
}

BOOST_AUTO_TEST_CASE(a_state_from_which_it_will_not_run_ends_the_wait_at_once) {
  for (const char* state : {"FAILED", "CANCELLED", "CANCELLING", "COMPLETED", "EXPIRED", "EARLY_STOPPED", "PAUSED",
                            "DELETING", "DELETING_CLEANING_UP", "DELETED", "ARCHIVED"}) {
    scene s;
    const auto before = attached(s);
    const std::string text = std::string("JOB_STATE_") + state;
    s.net->on("GET", job_path(), states({text.c_str()}));
    must_fail(errc::status, {"wait for trainer job grpo-1", text.c_str()},
              [&] { s.get(s.client.trainer_jobs().wait(before)); });
    BOOST_TEST(s.net->seconds() == 0.0);
  }
}

BOOST_AUTO_TEST_CASE(why_a_job_failed_is_told_wherever_it_stands) {
  for (const char* members :
       {R"("statusMessage":"no GPU")", R"("message":"no GPU")", R"("status":{"message":"no GPU"})",
        R"("status":{"statusMessage":"no GPU"})", R"("status":{"detail":"no GPU"})", R"("status":{"details":"no GPU"})",
        R"("status":"no GPU")"}) {
    scene s;
    const auto before = attached(s);
    s.net->on("GET", job_path(),
              {reply(200, R"({"name":"accounts/acme/rlorTrainerJobs/grpo-1","state":"JOB_STATE_FAILED",)" +
                              std::string(members) + "}")});
    must_fail(errc::status, {"JOB_STATE_FAILED", "no GPU"}, [&] { s.get(s.client.trainer_jobs().wait(before)); });
  }
}

BOOST_AUTO_TEST_CASE(pending_has_a_clock_of_its_own) {
  scene s;
  const auto before = attached(s);
  s.net->on("GET", job_path(), states({"JOB_STATE_PENDING"}));
  must_fail(errc::timeout, {"PENDING", "pending_seconds", "hardware"}, [&] {
    s.get(s.client.trainer_jobs().wait(before, {.poll_seconds = 60, .ready_seconds = 10, .pending_seconds = 3600}));
  });
  BOOST_TEST(s.net->seconds() == 3600.0);
}

BOOST_AUTO_TEST_CASE(readiness_is_counted_from_the_hardware_on) {
  scene s;
  const auto before = attached(s);
  s.net->on("GET", job_path(), [&](const seen&) {
    return reply_with(job("grpo-1", s.net->seconds() < 1000 ? "JOB_STATE_PENDING" : "JOB_STATE_RUNNING"));
  });
  s.net->on("GET", health_path(), {reply(503, "{}")});
  must_fail(errc::timeout, {"ready_seconds", "JOB_STATE_RUNNING", "does not answer yet"}, [&] {
    s.get(s.client.trainer_jobs().wait(before, {.poll_seconds = 10, .ready_seconds = 300, .pending_seconds = 5000}));
  });
  BOOST_TEST(s.net->seconds() == 1300.0);
}

BOOST_AUTO_TEST_CASE(the_direct_route_is_taken_only_where_it_is_allowed) {
  scene s;
  const auto before = attached(s);
  auto running = job("grpo-1", "JOB_STATE_RUNNING");
  running.direct_route_handle = "https://pod-7.example.com/";
  s.net->on("GET", job_path(), {reply_with(running)});
  s.net->on("GET", health_path(), {reply(503, "{}")});
  s.net->on("GET", "/api/v1/healthz", {reply(200, "{}")});
  must_fail(errc::timeout, {"ready_seconds"},
            [&] { s.get(s.client.trainer_jobs().wait(before, {.poll_seconds = 5, .ready_seconds = 10})); });
  BOOST_TEST(s.net->count("GET", "/api/v1/healthz") == 0u);
  const auto ready = s.get(s.client.trainer_jobs().wait(before, {.direct_route = true}));
  BOOST_TEST(ready.url() == "https://pod-7.example.com");
  BOOST_TEST(s.net->last("GET", "/api/v1/healthz").host == "pod-7.example.com");
}

BOOST_AUTO_TEST_CASE(reconnect_resumes_what_has_stopped_and_waits_for_what_runs) {
  scene s;
  s.net->on(
      "GET", job_path(),
      states({"JOB_STATE_FAILED", "JOB_STATE_FAILED", "JOB_STATE_FAILED", "JOB_STATE_CREATING", "JOB_STATE_RUNNING"}));
  s.net->on("POST", job_path() + ":resume", {reply(200, "{}")});
  s.net->on("GET", health_path(), {reply(200, "{}")});
  const auto again = s.get(s.client.trainer_jobs().reconnect("grpo-1"));
  BOOST_TEST(s.net->count("POST", job_path() + ":resume") == 1u);
  BOOST_TEST(s.net->last("POST", job_path() + ":resume").body == "");
  BOOST_TEST((again.info().state == pf::job_state::running));
  BOOST_TEST(again.existed());
  s.net->on("GET", job_path(), states({"JOB_STATE_ARCHIVED"}));
  must_fail(errc::status, {"deleted", "JOB_STATE_ARCHIVED"},
            [&] { s.get(s.client.trainer_jobs().reconnect("grpo-1")); });
}

BOOST_AUTO_TEST_CASE(a_resume_whose_answer_was_lost_is_looked_after) {
  scene s;
  s.net->on("POST", job_path() + ":resume",
            {lost(), reply(400, R"({"message":"cannot resume in JOB_STATE_CREATING"})")});
  s.net->on("GET", job_path(), states({"JOB_STATE_CREATING"}));
  BOOST_TEST((s.get(s.client.trainer_jobs().resume("grpo-1")).state == pf::job_state::creating));
  s.net->on("POST", job_path() + ":resume", {reply(400, R"({"message":"cannot resume"})")});
  must_fail(errc::status, {"resume trainer job grpo-1", "cannot resume"},
            [&] { s.get(s.client.trainer_jobs().resume("grpo-1")); });
}

BOOST_AUTO_TEST_CASE(a_wait_that_is_cancelled_ends_and_sends_nothing_more) {
  scene s;
  const auto before = attached(s);
  std::optional<future<pf::policy_job>> waiting;
  s.net->on("GET", job_path(), [&](const seen&) {
    if (s.net->seconds() >= 20) waiting->cancel();
    return reply_with(job("grpo-1", "JOB_STATE_CREATING"));
  });
  waiting.emplace(s.client.trainer_jobs().wait(before));
  s.net->run();
  must_fail(errc::closed, {"cancelled"}, [&] { static_cast<void>(waiting->result()); });
  BOOST_TEST(s.net->seconds() <= 25.0);
}

BOOST_AUTO_TEST_CASE(a_client_that_goes_away_ends_its_calls) {
  auto net = std::make_shared<played>();
  auto client = std::make_unique<pf::client>(pf::client::connect_through(net, {"https://api.example.com", key}));
  net->on("GET", "/v1/accounts", {reply(200, R"({"accounts":[{"name":"accounts/acme"}]})")});
  net->on("GET", job_path(), [&](const seen&) {
    client.reset();
    return reply_with(job("grpo-1", "JOB_STATE_CREATING"));
  });
  auto coming = client->trainer_jobs().reconnect("grpo-1");
  net->run();
  must_fail(errc::closed, {"closed"}, [&] { static_cast<void>(coming.result(std::chrono::seconds(5))); });
}

BOOST_AUTO_TEST_SUITE_END()
