// SPDX-License-Identifier: Apache-2.0
// Hot loads: what is asked for, once whatever becomes of the answer, and when a load is done.
#include "played.hpp"

using namespace playing;
namespace pf = gradwire::platform;

BOOST_AUTO_TEST_SUITE(hot_loads)

namespace {

const std::string path = std::string(deployments_path) + "/rollouts";

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
  for (const http_outcome& ambiguous :
       {http_outcome(lost()), http_outcome(reply(502, "{}")), http_outcome(reply(408, "{}"))}) {
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
  s.net->on("POST", hot_load_path, {refused(), reply(429, "{}"), reply(425, "{}"), reply(200, "{}")});
  static_cast<void>(s.get(s.client.deployments().hot_load("rollouts", {.identity = "step-2"})));
  BOOST_TEST(s.net->count("POST", hot_load_path) == 4u);
}

BOOST_AUTO_TEST_CASE(the_first_load_waits_for_a_replica) {
  scene s;
  s.net->on("GET", path, states({"READY"}));
  s.net->on("POST", hot_load_path, {reply(200, "{}")});
  s.net->on("GET", hot_load_path, {reply(404, "{}"), status_of({}), status_of({replica("")}), refused()});
  static_cast<void>(s.get(s.client.deployments().hot_load("rollouts", {.identity = "step-1"})));
  BOOST_TEST(s.net->seconds() == 10.0);
  static_cast<void>(s.get(s.client.deployments().hot_load("rollouts", {.identity = "step-2"})));
  BOOST_TEST(s.net->count("GET", hot_load_path) == 3u);  // seen once is enough …
  auto follows = served("rollouts", "READY");
  follows.hot_load_trainer_job = "accounts/acme/rlorTrainerJobs/grpo-2";
  s.net->on("GET", path, {reply_with(served("rollouts", "READY")), reply_with(follows)});
  s.net->on("PATCH", path, {reply_with(follows)});
  static_cast<void>(s.get(s.client.deployments().attach_trainer("rollouts", follows.hot_load_trainer_job)));
  s.net->on("GET", hot_load_path, {status_of({}), status_of({replica("")})});
  static_cast<void>(s.get(s.client.deployments().hot_load("rollouts", {.identity = "step-3"})));
  BOOST_TEST(s.net->count("GET", hot_load_path) == 5u);  // … of the pods of one trainer, …
  s.net->on("GET", hot_load_path, {status_of({}), status_of({}), status_of({replica("")})});
  static_cast<void>(s.get(s.client.deployments().hot_load_state("rollouts")));
  static_cast<void>(s.get(s.client.deployments().hot_load("rollouts", {.identity = "step-4"})));
  BOOST_TEST(s.net->count("GET", hot_load_path) == 8u);  // … and as long as no look shows that they are gone
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

BOOST_AUTO_TEST_SUITE_END()
