// SPDX-License-Identifier: Apache-2.0
// Deployments: the request that creates one, waits and changes.
#include "played.hpp"

using namespace playing;
namespace pf = gradwire::platform;

BOOST_AUTO_TEST_SUITE(deployments)

namespace {

const std::string path = std::string(deployments_path) + "/rollouts";

pf::deployment_config config_of(scene& s) {
  return {.deployment_id = "rollouts",
          .base_model = "accounts/fireworks/models/qwen3-8b",
          .linked_shape = s.profile().deployment_shape_version};
}

std::vector<http_outcome> states(std::initializer_list<const char*> all) {
  std::vector<http_outcome> answers;
  for (const char* state : all) answers.push_back(reply_with(served("rollouts", state)));
  return answers;
}

}  // namespace

BOOST_AUTO_TEST_CASE(A12_A19_a_deployment_runs_on_the_linked_shape_with_its_own_replica_counts) {
  scene s;
  s.net->on("POST", deployments_path, {reply_with(served("rollouts", "CREATING"))});
  auto config = config_of(s);
  config.min_replica_count = 1;
  config.max_replica_count = 3;
  config.hot_load_trainer_job = "accounts/acme/rlorTrainerJobs/grpo-1";
  const auto made = s.get(s.client.deployments().create(config));
  const auto& sent = s.net->last("POST", deployments_path);
  BOOST_TEST(sent.target == std::string(deployments_path) + "?deploymentId=rollouts");
  BOOST_TEST(sent.body ==
             R"({"baseModel":"accounts/fireworks/models/qwen3-8b","description":"Fireworks training deployment",)"
             R"("minReplicaCount":1,"maxReplicaCount":3,"enableHotLoad":true,"forTraining":true,)"
             R"("hotLoadBucketType":"FW_HOSTED","hotLoadTrainerJob":"accounts/acme/rlorTrainerJobs/grpo-1",)"
             R"("deploymentShape":"accounts/fireworks/deploymentShapes/qwen3-8b-h200/versions/d3"})");
  BOOST_TEST(made.name == "accounts/acme/deployments/rollouts");
  BOOST_TEST(!made.existed);
}

BOOST_AUTO_TEST_CASE(A24_the_linked_shape_comes_from_the_profile_or_not_at_all) {
  scene s;
  pf::deployment_config config{.deployment_id = "rollouts", .base_model = "m"};
  must_fail(errc::config, {"linked_shape is empty", "deployment_shape_version", "create_manual()"},
            [&] { s.get(s.client.deployments().create(config)); });
  static_assert(!std::is_constructible_v<pf::deployment_shape_ref, int>);
  BOOST_TEST(s.net->log.empty());
}

BOOST_AUTO_TEST_CASE(without_a_shape_one_of_two_decides_the_hardware) {
  scene s;
  s.net->on("POST", deployments_path, {reply_with(served("rollouts", "CREATING"))});
  static_cast<void>(s.get(s.client.deployments().create_manual({.deployment_id = "rollouts",
                                                                .base_model = "m",
                                                                .accelerator_type = "NVIDIA_H200_141GB",
                                                                .transition = pf::hot_load_transition::synchronous,
                                                                .disable_speculative_decoding = true,
                                                                .skip_shape_validation = true})));
  const auto& sent = s.net->last("POST", deployments_path);
  BOOST_TEST(sent.target == std::string(deployments_path) +
                                "?deploymentId=rollouts&skipShapeValidation=true&disableSpeculativeDecoding=true");
  BOOST_TEST(text_at(sent.body, {"acceleratorType"}) == "NVIDIA_H200_141GB");
  BOOST_TEST(text_at(sent.body, {"hotLoadTransitionType"}) == "SYNC");
  BOOST_TEST(text_at(sent.body, {"deploymentShape"}) == "(absent)");
  must_fail(errc::config, {"neither deployment_shape nor accelerator_type"},
            [&] { s.get(s.client.deployments().create_manual({.deployment_id = "x", .base_model = "m"})); });
}

BOOST_AUTO_TEST_CASE(a_create_whose_answer_is_lost_is_one_deployment) {
  scene s;
  s.net->on("POST", deployments_path, {lost(), reply(409, R"({"message":"exists"})")});
  s.net->on("GET", path, states({"CREATING"}));
  BOOST_TEST(!s.get(s.client.deployments().create(config_of(s))).existed);
  s.net->on("POST", deployments_path, {reply(409, R"({"message":"exists"})")});
  BOOST_TEST(s.get(s.client.deployments().create(config_of(s))).existed);
  auto other = served("rollouts", "READY");
  other.base_model = "accounts/fireworks/models/llama-v3p3-70b-instruct";
  other.deployment_shape = "accounts/fireworks/deploymentShapes/other/versions/1";
  s.net->on("GET", path, {reply_with(other)});
  must_fail(errc::config, {"taken by another deployment", "llama-v3p3-70b-instruct", "deploymentShapes/other"},
            [&] { s.get(s.client.deployments().create(config_of(s))); });
}

BOOST_AUTO_TEST_CASE(create_or_get_replaces_what_has_failed) {
  scene s;
  s.net->on("GET", path,
            {reply_with(served("rollouts", "FAILED")), reply_with(served("rollouts", "DELETING")), reply(404, "{}")});
  s.net->on("DELETE", path, {reply(200, "{}")});
  s.net->on("POST", deployments_path, {reply_with(served("rollouts", "CREATING"))});
  const auto made = s.get(s.client.deployments().create_or_get(config_of(s)));
  BOOST_TEST((made.state == pf::deployment_state::creating));
  BOOST_TEST(s.net->last("DELETE", path).target == path + "?ignoreChecks=true&hard=true");
  s.net->on("GET", path, states({"UPDATING"}));
  BOOST_TEST(s.get(s.client.deployments().create_or_get(config_of(s))).existed);
  BOOST_TEST(s.net->count("POST", deployments_path) == 1u);
}

BOOST_AUTO_TEST_CASE(a_wait_for_a_deployment) {
  scene s;
  s.net->on("GET", path, states({"CREATING", "UPDATING", "READY"}));
  s.net->on("POST", completions_path, {reply(404, "{}")});
  BOOST_TEST((s.get(s.client.deployments().wait("rollouts")).state == pf::deployment_state::ready));
  BOOST_TEST(s.net->count("POST", completions_path) == 1u);  // only while it is being created
  BOOST_TEST(s.net->last("POST", completions_path).body ==
             R"({"model":"accounts/acme/deployments/rollouts","prompt":[1,2],"n":1,"max_tokens":4,"temperature":0})");
  BOOST_TEST(s.net->seconds() == 10.0);
  s.net->on("GET", path, states({"CREATING"}));
  s.net->on("POST", completions_path, {reply(404, "{}"), reply(200, "{}")});
  BOOST_TEST((s.get(s.client.deployments().wait("rollouts")).state == pf::deployment_state::creating));  // it samples
  for (const char* bad : {"FAILED", "DELETING", "DELETED"}) {
    s.net->on("GET", path, states({bad}));
    must_fail(errc::status, {"deployment rollouts", "will not serve", bad},
              [&] { s.get(s.client.deployments().wait("rollouts")); });
  }
  s.net->on("GET", path, states({"UPDATING"}));
  must_fail(errc::timeout, {"UPDATING", "ready_seconds"},
            [&] { s.get(s.client.deployments().wait("rollouts", {.ready_seconds = 30})); });
  s.net->on("GET", path, {reply(404, "{}")});
  must_fail(errc::status, {"no deployment 'rollouts'"}, [&] { s.get(s.client.deployments().wait("rollouts")); });
}

BOOST_AUTO_TEST_CASE(scaling_names_what_it_changes) {
  scene s;
  s.net->on("PATCH", path, {reply_with(served("rollouts", "READY"))});
  static_cast<void>(s.get(s.client.deployments().scale("rollouts", 0, 0)));
  BOOST_TEST(s.net->last("PATCH", path).target == path + "?updateMask=min_replica_count%2Cmax_replica_count");
  BOOST_TEST(s.net->last("PATCH", path).body == R"({"minReplicaCount":0,"maxReplicaCount":0})");
  must_fail(errc::config, {"0 <= min_replica_count <= max_replica_count", "2 and 1"},
            [&] { s.get(s.client.deployments().scale("rollouts", 2, 1)); });
}

BOOST_AUTO_TEST_CASE(a_deployment_is_attached_to_another_trainer) {
  scene s;
  const std::string trainer = "accounts/acme/rlorTrainerJobs/grpo-2";
  auto follows = served("rollouts", "READY");
  follows.hot_load_trainer_job = trainer;
  auto busy = follows;
  busy.state = "UPDATING";
  s.net->on("GET", path,
            {reply_with(served("rollouts", "UPDATING")), reply_with(served("rollouts", "READY")), reply_with(busy),
             reply_with(follows)});
  s.net->on("PATCH", path, {reply_with(busy)});
  BOOST_TEST(s.get(s.client.deployments().attach_trainer("rollouts", trainer)).hot_load_trainer_job == trainer);
  BOOST_TEST(s.net->last("PATCH", path).target == path + "?updateMask=hot_load_trainer_job");
  BOOST_TEST(s.net->last("PATCH", path).body == R"({"hotLoadTrainerJob":"accounts/acme/rlorTrainerJobs/grpo-2"})");
  static_cast<void>(s.get(s.client.deployments().attach_trainer("rollouts", trainer)));  // it does already
  BOOST_TEST(s.net->count("PATCH", path) == 1u);
}

BOOST_AUTO_TEST_CASE(a_warm_up_tries_until_it_samples) {
  scene s;
  s.net->on("POST", completions_path, {reply(404, "{}"), refused(), reply(503, "{}"), reply(200, "{}")});
  static_cast<void>(s.get(s.client.deployments().warm_up("rollouts", {.tries = 5, .pause_seconds = 10})));
  BOOST_TEST(s.net->count("POST", completions_path) == 4u);
  BOOST_TEST(s.net->seconds() == 30.0);
  s.net->on("POST", completions_path, {reply(401, "{}")});
  must_fail(errc::status, {"401", "check the key"}, [&] { s.get(s.client.deployments().warm_up("rollouts")); });
  s.net->on("POST", completions_path, {reply(503, "{}")});
  must_fail(errc::timeout, {"no completion succeeded", "503"},
            [&] { s.get(s.client.deployments().warm_up("rollouts", {.tries = 3})); });
}

BOOST_AUTO_TEST_SUITE_END()
