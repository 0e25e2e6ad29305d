// SPDX-License-Identifier: Apache-2.0
// Deployments: the request that creates one, waits, and hot loads that are never sent twice.
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

wp::hot_load_replica replica(const std::string& holds, bool ready = true) {
  wp::hot_load_replica made;
  made.current_snapshot_identity = holds;
  made.readiness = ready;
  made.loading_state.stage = "idle";
  return made;
}
http_response status_of(std::vector<wp::hot_load_replica> replicas) {
  wp::hot_load_status made;
  made.replicas = std::move(replicas);
  return reply_with(made);
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

BOOST_AUTO_TEST_CASE(a_hot_load_as_it_stands_on_the_wire) {
  scene s;
  s.net->on("GET", path, states({"READY"}));
  s.net->on("POST", hot_load_path, {reply(200, "{}")});
  static_cast<void>(s.get(s.client.deployments().hot_load("rollouts", {.identity = "step-1-a1b2c3d4"})));
  const auto base = s.net->last("POST", hot_load_path);
  BOOST_TEST(base.body == R"({"identity":"step-1-a1b2c3d4","reset_prompt_cache":true})");
  BOOST_TEST(base.header("fireworks-model") == "accounts/fireworks/models/qwen3-8b");
  BOOST_TEST(base.header("fireworks-deployment") == "accounts/acme/deployments/rollouts");
  BOOST_TEST(base.bearer);
  pf::hot_load_options delta{.identity = "step-2-a1b2c3d4", .previous_identity = "step-1-a1b2c3d4"};
  static_cast<void>(s.get(s.client.deployments().hot_load("rollouts", delta)));
  BOOST_TEST(s.net->last("POST", hot_load_path).body ==
             R"({"identity":"step-2-a1b2c3d4","reset_prompt_cache":true,"incremental_snapshot_metadata":)"
             R"({"previous_snapshot_identity":"step-1-a1b2c3d4","compression_format":"arc_v2",)"
             R"("checksum_format":"alder32"}})");
}

BOOST_AUTO_TEST_CASE(a_delta_without_a_previous_snapshot_or_upon_itself_is_refused) {
  scene s;
  pf::hot_load_options empty{.identity = "step-2", .previous_identity = ""};
  must_fail(errc::config, {"previous_identity is empty", "Save a base"},
            [&] { s.get(s.client.deployments().hot_load("rollouts", empty)); });
  pf::hot_load_options itself{.identity = "step-2", .previous_identity = "tinker://run/sampler_weights/step-2"};
  must_fail(errc::config, {"applied twice"}, [&] { s.get(s.client.deployments().hot_load("rollouts", itself)); });
  BOOST_TEST(s.net->log.empty());
}

BOOST_AUTO_TEST_CASE(a_hot_load_whose_answer_is_lost_is_looked_for_and_never_sent_again) {
  for (const http_outcome& ambiguous : {http_outcome(lost()), http_outcome(reply(502, "{}"))}) {
    scene s;
    s.net->on("GET", path, states({"READY"}));
    s.net->on("POST", hot_load_path, {ambiguous});
    s.net->on("GET", hot_load_path, {status_of({replica("step-1")})});
    must_fail(errc::outcome_unknown, {"hot load of step-2", "rollouts", "not sent again", "does not show it"},
              [&] { s.get(s.client.deployments().hot_load("rollouts", {.identity = "step-2"})); });
    BOOST_TEST(s.net->count("POST", hot_load_path) == 1u);
    auto loading = replica("step-1", false);
    loading.loading_state = {"loading", "step-2", ""};
    s.net->on("GET", hot_load_path, {status_of({replica("step-1")}), status_of({loading})});
    static_cast<void>(s.get(s.client.deployments().hot_load("rollouts", {.identity = "step-2"})));
    BOOST_TEST(s.net->count("POST", hot_load_path) == 2u);
  }
}

BOOST_AUTO_TEST_CASE(what_cannot_have_arrived_is_sent_again) {
  scene s;
  s.net->on("GET", path, states({"READY"}));
  s.net->on("POST", hot_load_path, {refused(), reply(429, "{}"), reply(200, "{}")});
  static_cast<void>(s.get(s.client.deployments().hot_load("rollouts", {.identity = "step-2"})));
  BOOST_TEST(s.net->count("POST", hot_load_path) == 3u);
}

BOOST_AUTO_TEST_CASE(the_first_load_waits_for_a_replica) {
  scene s;
  s.net->on("GET", path, states({"READY"}));
  s.net->on("POST", hot_load_path, {reply(200, "{}")});
  s.net->on("GET", hot_load_path, {reply(404, "{}"), status_of({}), status_of({replica("")}), refused()});
  static_cast<void>(s.get(s.client.deployments().hot_load("rollouts", {.identity = "step-1"})));
  BOOST_TEST(s.net->seconds() == 10.0);
  static_cast<void>(s.get(s.client.deployments().hot_load("rollouts", {.identity = "step-2"})));
  BOOST_TEST(s.net->count("GET", hot_load_path) == 3u);  // seen once is enough
}

BOOST_AUTO_TEST_CASE(a_deployment_that_does_not_know_reset_prompt_cache) {
  scene s;
  s.net->on("GET", path, states({"READY"}));
  s.net->on("POST", hot_load_path, [](const seen& r) {
    if (r.body.find("reset_prompt_cache") == std::string::npos) return reply(200, "{}");
    return reply(400, R"({"error":{"message":"Extra inputs are not permitted, field: 'reset_prompt_cache'"}})");
  });
  static_cast<void>(s.get(s.client.deployments().hot_load("rollouts", {.identity = "step-1"})));
  BOOST_TEST(s.net->count("POST", hot_load_path) == 2u);
  static_cast<void>(s.get(s.client.deployments().hot_load("rollouts", {.identity = "step-2"})));
  BOOST_TEST(s.net->count("POST", hot_load_path) == 3u);  // remembered
  s.net->on("POST", hot_load_path, {reply(400, R"({"message":"identity is not there"})")});
  must_fail(errc::status, {"400", "identity is not there"},
            [&] { s.get(s.client.deployments().hot_load("rollouts", {.identity = "step-3"})); });
}

BOOST_AUTO_TEST_CASE(a_hot_load_is_done_when_every_replica_has_it) {
  scene s;
  s.net->on("GET", path, states({"READY"}));
  auto stale = replica("step-1");
  stale.loading_state = {"error", "step-0", ""};
  auto adapter = replica("");
  adapter.loaded_adapters.push_back({"step-2", "loaded"});
  s.net->on("GET", hot_load_path,
            {status_of({}), status_of({stale, replica("step-1")}), status_of({replica("step-2"), replica("step-1")}),
             status_of({replica("step-2"), replica("step-2", false)}),
             status_of({replica("tinker://run/sampler_weights/step-2"), adapter})});
  std::vector<std::string> told;
  const auto done = s.get(s.client.deployments().wait_hot_load(
      "rollouts", "step-2", {}, [&](const pf::wait_progress& p) { told.push_back(p.detail); }));
  BOOST_TEST(done.replicas.size() == 2u);
  BOOST_TEST(told.size() == 5u);
  BOOST_TEST(told[2] == "1 of 2 replicas have it");
  BOOST_TEST(s.net->seconds() == 20.0);
  s.net->on("GET", hot_load_path, {status_of({replica("step-3"), replica("step-1")})});
  static_cast<void>(s.get(s.client.deployments().wait_hot_load("rollouts", "step-3", {.first_replica_only = true})));
}

BOOST_AUTO_TEST_CASE(a_hot_load_that_fails_ends_the_wait) {
  scene s;
  s.net->on("GET", path, states({"READY"}));
  auto broken = replica("step-1");
  broken.loading_state = {"error", "step-2", "checksum differs"};
  s.net->on("GET", hot_load_path, {status_of({broken})});
  must_fail(errc::status, {"step-2", "could not load it", "checksum differs", "Save a base"},
            [&] { s.get(s.client.deployments().wait_hot_load("rollouts", "step-2")); });
  s.net->on("GET", hot_load_path, {reply(200, "{}")});
  must_fail(errc::protocol, {"lists no replicas"},
            [&] { s.get(s.client.deployments().wait_hot_load("rollouts", "step-2")); });
  s.net->on("GET", hot_load_path, {status_of({replica("step-1")})});
  must_fail(errc::timeout, {"0 of 1 replicas", "ready_seconds"},
            [&] { s.get(s.client.deployments().wait_hot_load("rollouts", "step-2", {.ready_seconds = 20})); });
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
