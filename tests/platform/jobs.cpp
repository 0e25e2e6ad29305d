// SPDX-License-Identifier: Apache-2.0
// Trainer jobs: the request that creates one, and that one id is one job whatever the network does.
#include "played.hpp"

using namespace playing;
namespace pf = gradwire::platform;

BOOST_AUTO_TEST_SUITE(jobs)

namespace {

std::string job_path(const std::string& id = "grpo-1") { return std::string(jobs_path) + "/" + id; }

template <class Job>
concept gives_a_trainer = requires(const Job& j) {
  j.training_client();
};
template <class Client>
concept steps = requires(Client& c) {
  c.optim_step();
};

// The body of the create that this config makes.
std::string body_of(scene& s, const pf::trainer_job_config& config) {
  s.net->on("POST", jobs_path, {reply_with(job("grpo-1", "JOB_STATE_CREATING"))});
  static_cast<void>(s.get(s.client.trainer_jobs().create(config)));
  return s.net->last("POST", jobs_path).body;
}

std::vector<http_outcome> states(std::initializer_list<const char*> all) {
  std::vector<http_outcome> answers;
  for (const char* state : all) answers.push_back(reply_with(job("grpo-1", state)));
  return answers;
}

}  // namespace

BOOST_AUTO_TEST_CASE(A13_A14_A15_A17_what_can_be_configured_stands_in_the_body) {
  scene s;
  auto config = s.job_config();
  config.lora_rank = 32;
  config.learning_rate = 2e-5;
  config.display_name = "grpo-run";
  config.region = "US_ILLINOIS_1";
  config.extra_args = {"--flag value", "--other"};
  config.trainer_replica_count = 2;
  config.inactivity_timeout_seconds = 1800;
  BOOST_TEST(body_of(s, config) ==
             R"({"serviceMode":true,"keepAlive":false,"dataset":"","trainingConfig":{"baseModel":)"
             R"("accounts/fireworks/models/qwen3-8b","loraRank":32,"learningRate":2e-05,"region":"US_ILLINOIS_1",)"
             R"("extraArgs":["--flag","value","--other"]},"trainerReplicaCount":2,"displayName":"grpo-run",)"
             R"("inactivityTimeout":"1800s","useReservation":true})");
}

BOOST_AUTO_TEST_CASE(A09_A10_A20_A21_A22_A23_what_the_shape_owns_is_not_sent) {
  scene s;
  const auto body = body_of(s, s.job_config());
  for (const char* name : {"acceleratorType", "acceleratorCount", "customImageTag", "maxContextLength"})
    BOOST_TEST(text_at(body, {"trainingConfig", name}) == "(absent)", name);
  BOOST_TEST(text_at(body, {"nodeCount"}) == "(absent)");
  BOOST_TEST(!wp::split_target(s.net->last("POST", jobs_path).target).has("skipValidations"));
}

BOOST_AUTO_TEST_CASE(A14_rank_0_is_full_parameter_and_is_sent) {
  scene s;
  BOOST_TEST(text_at(body_of(s, s.job_config()), {"trainingConfig", "loraRank"}) == "0");
}

BOOST_AUTO_TEST_CASE(A16_gradient_accumulation_is_the_loops_and_is_sent_in_the_early_dialect_only) {
  scene now;
  auto config = now.job_config();
  config.gradient_accumulation_steps = 4;
  const auto body = body_of(now, config);
  BOOST_TEST(text_at(body, {"trainingConfig", "gradientAccumulationSteps"}) == "(absent)");
  BOOST_TEST(text_at(body, {"useReservation"}) == "true");
  scene then({.dialect = pf::api_dialect::early_2026});
  config.training_shape_ref = then.profile().training_shape_version;
  const auto early = body_of(then, config);
  BOOST_TEST(text_at(early, {"trainingConfig", "gradientAccumulationSteps"}) == "4");
  BOOST_TEST(text_at(early, {"useReservation"}) == "(absent)");
}

BOOST_AUTO_TEST_CASE(A18_hot_load_deployment_id_stands_in_query_and_body) {
  scene s;
  auto config = s.job_config();
  config.hot_load_deployment_id = "rollouts";
  const auto body = body_of(s, config);
  BOOST_TEST(text_at(body, {"hotLoadDeploymentId"}) == "rollouts");
  const auto query = wp::split_target(s.net->last("POST", jobs_path).target).query;
  BOOST_REQUIRE(query.size() == 3u);
  BOOST_TEST(query[0].first == "deploymentId");
  BOOST_TEST(query[1].first == "trainingShape");
  BOOST_TEST(query[2].first == "rlorTrainerJobId");
  BOOST_TEST(query[2].second == "grpo-1");
}

BOOST_AUTO_TEST_CASE(A25_there_is_a_manager_of_jobs_and_one_of_deployments) {
  scene s;
  static_assert(std::same_as<decltype(s.client.trainer_jobs()), pf::trainer_jobs_client>);
  static_assert(std::same_as<decltype(s.client.deployments()), pf::deployments_client>);
}

BOOST_AUTO_TEST_CASE(A29_A32_a_reference_job_is_forward_only_and_cannot_train) {
  scene s;
  auto made = job("ref-1", "JOB_STATE_CREATING");
  made.forward_only = true;
  s.net->on("POST", jobs_path, {reply_with(made)});
  const auto reference =
      s.get(s.client.trainer_jobs().create_reference({.base_model = "accounts/fireworks/models/qwen3-8b",
                                                      .training_shape_ref = s.profile().training_shape_version,
                                                      .job_id = "ref-1"}));
  BOOST_TEST(text_at(s.net->last("POST", jobs_path).body, {"forwardOnly"}) == "true");
  BOOST_TEST(reference.info().forward_only);
  static_assert(gives_a_trainer<pf::policy_job> && !gives_a_trainer<pf::reference_job>);
  static_assert(steps<gradwire::training_client> && !steps<gradwire::reference_client>);
}

BOOST_AUTO_TEST_CASE(without_a_shape_everything_is_said_and_validations_are_skipped) {
  scene s;
  s.net->on("POST", jobs_path, {reply_with(job("m-1", "JOB_STATE_CREATING"))});
  static_cast<void>(s.get(s.client.trainer_jobs().create_manual({.base_model = "accounts/acme/models/m",
                                                                 .job_id = "m-1",
                                                                 .accelerator_type = "NVIDIA_B200_180GB",
                                                                 .accelerator_count = 8,
                                                                 .node_count = 2,
                                                                 .custom_image_tag = "mine",
                                                                 .max_context_length = 4096})));
  const auto& sent = s.net->last("POST", jobs_path);
  BOOST_TEST(sent.target == std::string(jobs_path) + "?skipValidations=true&rlorTrainerJobId=m-1");
  BOOST_TEST(text_at(sent.body, {"trainingConfig", "acceleratorType"}) == "NVIDIA_B200_180GB");
  BOOST_TEST(text_at(sent.body, {"trainingConfig", "acceleratorCount"}) == "8");
  BOOST_TEST(text_at(sent.body, {"trainingConfig", "customImageTag"}) == "mine");
  BOOST_TEST(text_at(sent.body, {"trainingConfig", "maxContextLength"}) == "4096");
  BOOST_TEST(text_at(sent.body, {"nodeCount"}) == "2");
}

BOOST_AUTO_TEST_CASE(an_id_is_made_once_and_kept_over_every_attempt) {
  scene s;
  auto config = s.job_config();
  config.job_id.clear();
  std::vector<std::string> ids;
  s.net->on("POST", jobs_path, [&](const seen& r) -> http_outcome {
    ids.push_back(r.query("rlorTrainerJobId"));
    if (ids.size() == 1) return reply(429, "{}");
    if (ids.size() == 2) return reply(503, "{}");
    if (ids.size() == 3) return refused();
    return reply_with(job(ids.back(), "JOB_STATE_CREATING"));
  });
  const auto made = s.get(s.client.trainer_jobs().create(config));
  BOOST_REQUIRE(ids.size() == 4u);
  for (const auto& id : ids) BOOST_TEST(id == made.id());
  BOOST_TEST(made.id().starts_with("training-api-service-"));
  BOOST_TEST(made.id().size() == std::string_view("training-api-service-").size() + 8);
  BOOST_TEST(!made.existed());
  BOOST_TEST(pf::trainer_jobs_client::fresh_id() != pf::trainer_jobs_client::fresh_id());
}

BOOST_AUTO_TEST_CASE(a_create_whose_answer_is_lost_is_one_job) {
  scene s;
  s.net->on("POST", jobs_path, {lost(), reply(409, R"({"message":"already exists, retry with another id"})")});
  s.net->on("GET", job_path(), states({"JOB_STATE_CREATING"}));
  const auto made = s.get(s.client.trainer_jobs().create(s.job_config()));
  BOOST_TEST(made.id() == "grpo-1");
  BOOST_TEST(!made.existed());  // it is ours: an earlier attempt made it
}

BOOST_AUTO_TEST_CASE(an_id_that_is_taken) {
  scene s;
  s.net->on("POST", jobs_path, {reply(409, R"({"message":"already exists"})")});
  s.net->on("GET", job_path(), states({"JOB_STATE_RUNNING"}));
  BOOST_TEST(s.get(s.client.trainer_jobs().create(s.job_config())).existed());
  for (const char* tombstone : {"JOB_STATE_DELETED", "JOB_STATE_ARCHIVED"}) {
    s.net->on("GET", job_path(), states({tombstone}));
    must_fail(errc::config, {"grpo-1", "archived", tombstone, "new job_id"},
              [&] { s.get(s.client.trainer_jobs().create(s.job_config())); });
  }
  auto other = job("grpo-1", "JOB_STATE_RUNNING");
  other.training_config.base_model = "accounts/fireworks/models/qwen3-32b";
  other.training_config.lora_rank = 8;
  s.net->on("GET", job_path(), {reply_with(other)});
  must_fail(errc::config, {"taken by another job", "qwen3-32b", "lora_rank 8", "another job_id"},
            [&] { s.get(s.client.trainer_jobs().create(s.job_config())); });
  s.net->on("GET", job_path(), {reply(404, "{}")});
  must_fail(errc::status, {"create trainer job", "409", "already exists"},
            [&] { s.get(s.client.trainer_jobs().create(s.job_config())); });
}

BOOST_AUTO_TEST_CASE(every_state_is_known_and_others_pass) {
  for (const char* text : {"UNSPECIFIED",   "CREATING",
                           "RUNNING",       "COMPLETED",
                           "FAILED",        "CANCELLED",
                           "DELETING",      "WRITING_RESULTS",
                           "VALIDATING",    "DELETING_CLEANING_UP",
                           "PENDING",       "EXPIRED",
                           "RE_QUEUEING",   "CREATING_INPUT_DATASET",
                           "IDLE",          "CANCELLING",
                           "EARLY_STOPPED", "PAUSED",
                           "DELETED",       "ARCHIVED"})
    BOOST_TEST((pf::parse_job_state(std::string("JOB_STATE_") + text) != pf::job_state::unknown), text);
  scene s;
  s.net->on("GET", job_path(), states({"JOB_STATE_DREAMING"}));
  const auto strange = s.get(s.client.trainer_jobs().get("grpo-1"));
  BOOST_TEST((strange.state == pf::job_state::unknown));
  BOOST_TEST(strange.state_text == "JOB_STATE_DREAMING");
}

BOOST_AUTO_TEST_CASE(get_find_list_cancel_and_remove) {
  scene s;
  s.net->on("GET", job_path("none"), {reply(404, "{}")});
  BOOST_TEST(!s.get(s.client.trainer_jobs().find("none")).has_value());
  must_fail(errc::status, {"no trainer job 'none'", "list()"}, [&] { s.get(s.client.trainer_jobs().get("none")); });
  s.net->on("GET", jobs_path, [](const seen& r) {
    wp::trainer_jobs_reply page;
    const bool second = r.query("pageToken") == "2";
    page.rlor_trainer_jobs.push_back(job(second ? "b" : "a", "JOB_STATE_RUNNING"));
    if (!second) page.next_page_token = "2";
    return reply_with(page);
  });
  const auto all = s.get(s.client.trainer_jobs().list({.filter = "state=\"JOB_STATE_RUNNING\""}));
  BOOST_REQUIRE(all.size() == 2u);
  BOOST_TEST(all[1].id == "b");
  BOOST_TEST(s.net->last("GET", jobs_path).query("filter") == "state=\"JOB_STATE_RUNNING\"");
  s.net->on("POST", job_path() + ":cancel", {reply(200, "{}")});
  static_cast<void>(s.get(s.client.trainer_jobs().cancel("accounts/acme/rlorTrainerJobs/grpo-1")));
  BOOST_TEST(s.net->last("POST", job_path() + ":cancel").body == "{}");
  s.net->on("DELETE", job_path(), {reply(404, "{}")});
  static_cast<void>(s.get(s.client.trainer_jobs().remove("grpo-1")));
  BOOST_TEST(s.net->count("DELETE", job_path()) == 1u);
}

BOOST_AUTO_TEST_CASE(a_job_is_attached_as_what_it_is) {
  scene s;
  auto forward = job("grpo-1", "JOB_STATE_RUNNING");
  forward.forward_only = true;
  s.net->on("GET", job_path(), {reply_with(forward)});
  BOOST_TEST(s.get(s.client.trainer_jobs().attach_reference("grpo-1")).existed());
  must_fail(errc::config, {"forward-only", "attach_reference()"},
            [&] { s.get(s.client.trainer_jobs().attach_policy("grpo-1")); });
}

BOOST_AUTO_TEST_SUITE_END()
