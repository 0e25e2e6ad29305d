// SPDX-License-Identifier: Apache-2.0
// Jobs and deployments are changed once, whatever becomes of the answer: cancel and resume are looked for, what is deleted
// stays deleted also when its create comes late, and no other host gets the key in the clear.
#include "played.hpp"

using namespace playing;
namespace pf = gradwire::platform;

BOOST_AUTO_TEST_SUITE(changes)

namespace {

const std::string job_path = std::string(jobs_path) + "/grpo-1";
const std::string deployment_path = std::string(deployments_path) + "/rollouts";
const std::string health_path = "/training/v1/rlorTrainerJobs/acme/grpo-1/api/v1/healthz";

std::vector<http_outcome> states(std::initializer_list<const char*> all) {
  std::vector<http_outcome> answers;
  for (const char* state : all) answers.push_back(reply_with(job("grpo-1", std::string("JOB_STATE_") + state)));
  return answers;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_cancel_whose_answer_is_lost_is_looked_for) {
  for (const http_outcome& ambiguous :
       {http_outcome(lost()), http_outcome(reply(503, "{}")), http_outcome(reply(408, "{}"))}) {
    scene s;
    s.net->on("POST", job_path + ":cancel", {ambiguous, reply(200, "{}")});
    s.net->on("GET", job_path, states({"CANCELLING"}));
    static_cast<void>(s.get(s.client.trainer_jobs().cancel("grpo-1")));
    BOOST_TEST(s.net->count("POST", job_path + ":cancel") == 1u);
    s.net->on("POST", job_path + ":cancel", {ambiguous, reply(200, "{}")});
    s.net->on("GET", job_path, states({"RUNNING"}));  // it did not arrive
    static_cast<void>(s.get(s.client.trainer_jobs().cancel("grpo-1")));
    BOOST_TEST(s.net->count("POST", job_path + ":cancel") == 3u);
  }
}

BOOST_AUTO_TEST_CASE(a_cancel_of_what_has_ended_is_no_error) {
  scene s;
  s.net->on("POST", job_path + ":cancel", {reply(400, R"({"message":"cannot cancel job in state"})")});
  for (const char* state : {"CANCELLED", "COMPLETED", "FAILED", "DELETED"}) {
    s.net->on("GET", job_path, states({state}));
    static_cast<void>(s.get(s.client.trainer_jobs().cancel("grpo-1")));
  }
  for (const char* state : {"RUNNING", "PAUSED"}) {
    s.net->on("GET", job_path, states({state}));
    must_fail(errc::status, {"cancel trainer job grpo-1", "400", "cannot cancel job"},
              [&] { s.get(s.client.trainer_jobs().cancel("grpo-1")); });
  }
  s.net->on("POST", job_path + ":cancel", {reply(404, "{}")});
  must_fail(errc::status, {"404"}, [&] { s.get(s.client.trainer_jobs().cancel("grpo-1")); });
}

BOOST_AUTO_TEST_CASE(a_cancel_of_which_nothing_is_to_be_seen_is_told) {
  scene s;
  s.net->on("POST", job_path + ":cancel", {lost()});
  s.net->on("GET", job_path, {reply(404, "{}")});
  must_fail(errc::outcome_unknown, {"cancel trainer job grpo-1", "may or may not", "trainer_jobs().get()"},
            [&] { s.get(s.client.trainer_jobs().cancel("grpo-1")); });
  s.net->on("GET", job_path, states({"RUNNING"}));  // and so for ever
  const double begun = s.net->seconds();
  must_fail(errc::outcome_unknown, {"cancel trainer job grpo-1"},
            [&] { s.get(s.client.trainer_jobs().cancel("grpo-1")); });
  BOOST_TEST(s.net->seconds() - begun <= 300.0);
}

BOOST_AUTO_TEST_CASE(a_resume_whose_answer_is_lost_is_sent_again_only_where_the_job_stands) {
  scene s;
  s.net->on("POST", job_path + ":resume", {lost(), reply(200, "{}")});
  s.net->on("GET", job_path, states({"CREATING"}));
  BOOST_TEST((s.get(s.client.trainer_jobs().resume("grpo-1")).state == pf::job_state::creating));
  BOOST_TEST(s.net->count("POST", job_path + ":resume") == 1u);
  s.net->on("POST", job_path + ":resume", {lost(), reply(200, "{}")});
  s.net->on("GET", job_path, states({"FAILED", "CREATING"}));
  BOOST_TEST((s.get(s.client.trainer_jobs().resume("grpo-1")).state == pf::job_state::creating));
  BOOST_TEST(s.net->count("POST", job_path + ":resume") == 3u);
  // It arrived, and the state that was seen was an old one.
  s.net->on("POST", job_path + ":resume", {lost(), reply(400, R"({"message":"cannot resume"})")});
  s.net->on("GET", job_path, states({"FAILED", "RUNNING"}));
  BOOST_TEST((s.get(s.client.trainer_jobs().resume("grpo-1")).state == pf::job_state::running));
}

BOOST_AUTO_TEST_CASE(what_is_created_after_its_deletion_is_deleted_too) {
  for (const bool is_job : {true, false}) {
    scene s;
    const std::string path = is_job ? job_path : deployment_path;
    const auto remove = [&](double settle_seconds) {
      const pf::remove_options how{.settle_seconds = settle_seconds};
      return is_job ? s.client.trainer_jobs().remove("grpo-1", how) : s.client.deployments().remove("rollouts", how);
    };
    double begun = s.net->seconds();
    s.net->on("DELETE", path, {reply(404, "{}"), reply(404, "{}"), reply(404, "{}"), reply(200, "{}")});
    static_cast<void>(s.get(remove(30)));
    BOOST_TEST(s.net->count("DELETE", path) == 4u);
    BOOST_TEST(s.net->seconds() - begun == 7.0);  // 1 + 2 + 4
    begun = s.net->seconds();
    s.net->on("DELETE", path, {reply(404, "{}")});
    static_cast<void>(s.get(remove(30)));
    BOOST_TEST(s.net->seconds() - begun == 30.0);
    begun = s.net->seconds();
    static_cast<void>(s.get(remove(0)));
    s.net->on("DELETE", path, {reply(200, "{}")});
    static_cast<void>(s.get(remove(30)));
    BOOST_TEST(s.net->seconds() == begun);
    s.net->on("DELETE", path, {lost(), reply(404, "{}")});  // the first one did it, as it seems
    static_cast<void>(s.get(remove(0)));
    BOOST_TEST(s.net->seconds() - begun < 5.0);
    for (const http_outcome& ambiguous : {http_outcome(lost()), http_outcome(reply(503, "{}"))}) {  // or it did not
      const auto before = s.net->count("DELETE", path);
      s.net->on("DELETE", path, {ambiguous, reply(404, "{}"), reply(404, "{}"), reply(200, "{}")});
      static_cast<void>(s.get(remove(30)));
      BOOST_TEST(s.net->count("DELETE", path) - before == 4u);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_create_that_timed_out_may_have_been_executed) {
  scene s;
  s.net->on("POST", jobs_path, {reply(408, "{}"), reply(409, R"({"message":"already exists"})")});
  s.net->on("GET", job_path, states({"CREATING"}));
  BOOST_TEST(!s.get(s.client.trainer_jobs().create(s.job_config())).existed());
  s.net->on("POST", jobs_path, {reply(503, "{}")});
  must_fail(errc::outcome_unknown, {"create trainer job grpo-1", "remove(\"grpo-1\", {.settle_seconds = 60})"},
            [&] { s.get(s.client.trainer_jobs().create(s.job_config())); });
}

// What is said to a later attempt, and what a look finds, says nothing of the attempt that was lost.
BOOST_AUTO_TEST_CASE(a_refusal_after_a_lost_attempt_leaves_it_unknown) {
  scene s;
  const auto shape = s.profile().deployment_shape_version;
  const auto create = [&](bool is_job, const std::vector<http_outcome>& answers) {
    s.net->on("POST", is_job ? jobs_path : deployments_path, answers);
    if (is_job) return static_cast<void>(s.get(s.client.trainer_jobs().create(s.job_config())));
    static_cast<void>(s.get(s.client.deployments().create(
        {.deployment_id = "rollouts", .base_model = "accounts/fireworks/models/qwen3-8b", .linked_shape = shape})));
  };
  const auto taken = reply(409, R"({"message":"already exists"})");
  for (const bool is_job : {true, false}) {
    const char* const name =
        is_job ? "create trainer job grpo-1 (2 attempts" : "create deployment rollouts (2 attempts";
    const char* const way_out = is_job ? "remove(\"grpo-1\"" : "remove(\"rollouts\"";
    for (const http_response& no : {reply(400, R"({"message":"not so"})"), reply(403, R"({"message":"not so"})"),
                                    reply(429, R"({"message":"not so: over your quota"})")}) {
      const auto said = must_fail(errc::outcome_unknown,
                                  {name, "not so", "An earlier attempt to create ", "It may still come", way_out}, [&] {
                                    create(is_job, {lost(), no});
                                  });
      BOOST_TEST(said.details().http_status == no.status);
      must_fail(errc::status, {"(1 attempt", "not so"}, [&] { create(is_job, {no}); });
    }
    const std::string path = is_job ? job_path : deployment_path;
    s.net->on("GET", path, {reply(404, "{}")});
    must_fail(errc::outcome_unknown, {name, "already exists", "It may still come", way_out}, [&] {
      create(is_job, {lost(), taken});
    });
    s.net->on("GET", path, {reply(403, "{}")});
    must_fail(errc::outcome_unknown, {"403", "It may still come", way_out}, [&] { create(is_job, {lost(), taken}); });
    must_fail(errc::status, {"403"}, [&] { create(is_job, {taken}); });
    auto other = job("grpo-1", "JOB_STATE_RUNNING");
    auto another = served("rollouts", "READY");
    other.training_config.base_model = another.base_model = "accounts/fireworks/models/qwen3-32b";
    s.net->on("GET", path, {is_job ? reply_with(other) : reply_with(another)});
    must_fail(errc::outcome_unknown, {"is taken by another", "qwen3-32b", "Look whose it is before you delete it"},
              [&] {
                create(is_job, {lost(), taken});
              });
  }
}

BOOST_AUTO_TEST_CASE(the_direct_route_gets_no_key_in_the_clear) {
  scene s;
  auto running = job("grpo-1", "JOB_STATE_RUNNING");
  s.net->on("GET", job_path, {reply_with(running)});
  s.net->on("GET", health_path, {reply(503, "{}")});
  s.net->on("GET", "/api/v1/healthz", {reply(200, "{}")});
  const auto before = s.get(s.client.trainer_jobs().attach_policy("grpo-1"));
  const auto wait = [&](const char* handle) {
    running.direct_route_handle = handle;
    s.net->on("GET", job_path, {reply_with(running)});
    return s.get(s.client.trainer_jobs().wait(before, {.ready_seconds = 10, .direct_route = true})).url();
  };
  must_fail(errc::timeout, {"does not answer yet", "direct route is not taken", "pod-7.example.com over http"},
            [&] { wait("http://pod-7.example.com"); });
  must_fail(errc::timeout, {"direct route is not taken"}, [&] { wait("pod 7"); });
  BOOST_TEST(s.net->count("GET", "/api/v1/healthz") == 0u);
  BOOST_TEST(wait("http://127.0.0.1:8080") == "http://127.0.0.1:8080");
  BOOST_TEST(wait("pod-7.example.com") == "https://pod-7.example.com");
  BOOST_TEST(s.net->last("GET", "/api/v1/healthz").key == key);
}

BOOST_AUTO_TEST_CASE(what_a_job_hands_on_to_its_trainer) {
  pf::client_options options;
  options.headers = {{"X-Tenant", "blue team"}};
  options.ca_file = "own.pem";
  options.proxy = "http://proxy.example.com:3128";
  scene s(options);
  auto running = job("grpo-1", "JOB_STATE_RUNNING");
  running.training_config.lora_rank = 16;
  s.net->on("GET", job_path, {reply_with(running)});
  const auto policy = s.get(s.client.trainer_jobs().attach_policy("grpo-1"));
  const std::string trainer = "/training/v1/rlorTrainerJobs/acme/grpo-1/api/v1";
  s.net->on("GET", trainer + "/client/config", {reply(404, "{}")});
  s.net->on("POST", trainer + "/client/config", {reply(404, "{}")});
  s.net->on("POST", trainer + "/create_session", {reply(200, R"({"session_id":"s"})")});
  s.net->on("POST", trainer + "/create_model", {reply(200, R"({"request_id":"m","model_id":"m"})")});
  s.net->on("POST", trainer + "/retrieve_future", {reply(200, R"({"model_id":"m"})")});
  connect_options how;
  how.heartbeat_seconds = 0;
  const auto made = s.get(policy.training_client(
      {.lora_rank = 8, .lora_alpha = 24, .seed = 5, .train_unembed = false, .train_mlp = true, .train_attn = false},
      how));
  BOOST_TEST(made.model_id() == "m");
  const seen& sent = s.net->last("POST", trainer + "/create_model");
  BOOST_TEST(text_at(sent.body, {"base_model"}) == "accounts/fireworks/models/qwen3-8b");
  BOOST_TEST(text_at(sent.body, {"lora_config", "rank"}) == "8");
  BOOST_TEST(text_at(sent.body, {"lora_config", "alpha"}) == "24");
  BOOST_TEST(text_at(sent.body, {"lora_config", "seed"}) == "5");
  BOOST_TEST(text_at(sent.body, {"lora_config", "train_unembed"}) == "false");
  BOOST_TEST(text_at(sent.body, {"lora_config", "train_attn"}) == "false");
  BOOST_TEST(sent.key == key);
  BOOST_TEST(sent.header("X-Tenant") == "blue team");
  BOOST_TEST(sent.ca_file == "own.pem");
  BOOST_TEST(sent.proxy == "proxy.example.com:3128");
}

BOOST_AUTO_TEST_SUITE_END()
