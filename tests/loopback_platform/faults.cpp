// SPDX-License-Identifier: Apache-2.0
// What the platform does wrong when it is asked to: each behaviour that a client of the hosted one must live with.
#include <algorithm>
#include <fstream>
#include <iterator>

#include <gradwire/loopback/platform/faults.hpp>

#include "platform_driver.hpp"

BOOST_AUTO_TEST_SUITE(faults)

BOOST_AUTO_TEST_CASE(no_account_or_two) {
  platform_driver it;
  it.platform.set_fault({"accounts", "two"});
  BOOST_TEST(it.ok<message::accounts_reply>("GET", "/v1/accounts?pageSize=2").accounts.size() == 2u);
  it.platform.clear_faults();
  it.platform.set_fault({"accounts", "none", 1});
  BOOST_TEST(it.ok<message::accounts_reply>("GET", "/v1/accounts").accounts.empty());
  BOOST_TEST(it.ok<message::accounts_reply>("GET", "/v1/accounts").accounts.size() == 1u);
}

BOOST_AUTO_TEST_CASE(no_validated_version) {
  platform_driver it;
  it.platform.set_fault({"no_validated_version"});
  const auto found = it.ok<message::training_shape_versions_reply>(
      "GET", "/v1/" + std::string(qwen8_shape) + "/versions?filter=latest_validated%3Dtrue&pageSize=1");
  BOOST_TEST(found.training_shape_versions.empty());
}

BOOST_AUTO_TEST_CASE(a_creation_that_is_refused_three_times) {
  platform_driver it;
  it.platform.set_fault({"refuse", "create_job:429:1", 3});
  for (int i = 0; i < 3; ++i) {
    const auto reply = it.ask("POST", it.create_target("one", qwen8_shape), message::to_json(it.policy()));
    BOOST_TEST(reply.status == 429);
    BOOST_TEST(contains(reply.head, "Retry-After: 1"), reply.head);
  }
  BOOST_TEST(it.platform.counts().jobs_created == 0);
  it.create_job("one");
  BOOST_TEST(it.platform.counts().jobs_created == 1);
}

BOOST_AUTO_TEST_CASE(a_creation_whose_answer_is_lost) {
  platform_driver it;
  it.platform.set_fault({"lose_reply", "create_job", 1});
  BOOST_TEST(it.ask("POST", it.create_target("one", qwen8_shape), message::to_json(it.policy())).status == 502);
  BOOST_TEST(it.platform.counts().jobs_created == 1);
  BOOST_TEST(it.job("one").state == "JOB_STATE_RUNNING");
}

BOOST_AUTO_TEST_CASE(a_job_that_fails_says_why_in_one_of_seven_places) {
  platform_driver it;
  int number = 0;
  for (const char* place : {"statusMessage", "message", "status.message", "status.statusMessage", "status.detail",
                            "status.details", "status"}) {
    BOOST_TEST_CONTEXT(place) {
      it.platform.set_fault({"job_fails", place, 1});
      const std::string id = "job-" + std::to_string(++number);
      it.create_job(id);
      const auto job = it.job(id);
      BOOST_TEST(job.state == "JOB_STATE_FAILED");
      BOOST_TEST(job.why() == "the trainer could not be started: no node was free");
    }
  }
}

BOOST_AUTO_TEST_CASE(a_job_that_vanishes_after_a_conflict) {
  platform_driver it;
  it.create_job("one");
  it.platform.set_fault({"job_vanishes", "", 1});
  it.refused(409, "POST", it.create_target("one", qwen8_shape), message::to_json(it.policy()));
  it.refused(404, "GET", it.jobs_path() + "/one");
  BOOST_TEST(it.ask("GET", it.jobs_path() + "/one").status == 200);
}

BOOST_AUTO_TEST_CASE(a_gateway_that_is_not_well) {
  platform_driver it;
  it.create_job("one");
  it.platform.set_fault({"gateway_unhealthy"});
  BOOST_TEST(it.ask("GET", "/training/v1/rlorTrainerJobs/acme/one/api/v1/healthz").status == 503);
  const auto direct = parse_url(it.job("one").direct_route_handle);
  BOOST_TEST(direct.port == it.port);
  BOOST_TEST(it.ask("GET", "/direct/acme/one/api/v1/healthz").status == 200);
}

BOOST_AUTO_TEST_CASE(a_deployment_that_serves_and_says_creating) {
  platform_driver it;
  it.platform.set_fault({"deployment_stays_creating"});
  it.create_deployment("d", "");
  BOOST_TEST(it.ok<message::deployment>("GET", it.deployments_path() + "/d").state == "CREATING");
  BOOST_TEST(it.complete(it.completion("d")).status == 200);
}

BOOST_AUTO_TEST_CASE(a_deployment_that_fails) {
  platform_driver it;
  it.platform.set_fault({"deployment_fails", "", 1});
  it.create_deployment("d", "");
  const auto one = it.ok<message::deployment>("GET", it.deployments_path() + "/d");
  BOOST_TEST(one.state == "FAILED");
  BOOST_TEST(contains(one.status.text, "could not be started"));
  BOOST_TEST(it.complete(it.completion("d")).status == 404);
}

BOOST_AUTO_TEST_CASE(reset_prompt_cache_is_not_known) {
  platform_driver it;
  it.create_job("job");
  it.create_deployment("d", "job");
  gateway_driver(it, "job").save("a", "base");
  it.platform.set_fault({"no_reset_prompt_cache"});
  const auto reply = it.hot_load("d", "a");
  BOOST_TEST(reply.status == 400);
  BOOST_TEST(contains(reply.body, "reset_prompt_cache"));
  BOOST_TEST(contains(reply.body, "Extra inputs are not permitted"));
  BOOST_TEST(it.platform.counts().hot_loads == 0);
  BOOST_TEST(it.ask("POST", "/hot_load/v1/models/hot_load", R"({"identity":"a"})", it.to_deployment("d")).status ==
             200);
}

BOOST_AUTO_TEST_CASE(what_replicas_say) {
  platform_driver it;
  it.create_job("job");
  it.create_deployment("d", "job");
  gateway_driver(it, "job").save("a", "base");
  it.load("d", "a");
  const auto with = [&](const char* value) {
    it.platform.set_fault({"replicas", value, 1});
    return it.hot_load_status("d");
  };
  BOOST_TEST(!with("missing").replicas.has_value());
  BOOST_TEST(with("empty").replicas->empty());
  const auto stale = with("stale_error").replicas->at(0);
  BOOST_TEST(stale.loading_state.stage == "error");
  BOOST_TEST(stale.loading_state.target_snapshot_identity == "an-older-snapshot");
  BOOST_TEST(stale.current_snapshot_identity == "a");
  const auto error = with("error").replicas->at(0);
  BOOST_TEST(error.loading_state.target_snapshot_identity == "a");
  BOOST_TEST(error.loading_state.stage == "error");
  const auto adapters = with("adapters").replicas->at(0);
  BOOST_TEST(adapters.current_snapshot_identity == "");
  BOOST_TEST(adapters.loaded_adapters.at(0).identity == "a");
  BOOST_TEST(adapters.loaded_adapters.at(0).status == "loaded");
  const auto lagging = with("lagging");
  BOOST_TEST(lagging.replicas->at(0).current_snapshot_identity == "a");
  BOOST_TEST(lagging.replicas->at(1).current_snapshot_identity == "");
  BOOST_TEST(!lagging.replicas->at(1).readiness);
  BOOST_TEST(it.hot_load_status("d").replicas->size() == 1u);
}

BOOST_AUTO_TEST_CASE(checkpoints_under_the_other_key_in_small_pages) {
  platform_driver it;
  it.create_job("job");
  gateway_driver trainer(it, "job");
  for (const char* name : {"a", "b", "c"}) trainer.save(name, "base");
  it.platform.set_fault({"checkpoint_page", "other_key"});
  std::vector<std::string> names;
  std::string token;
  do {
    const auto page = it.ok<message::job_checkpoints_reply>(
        "GET", it.jobs_path() + "/job/checkpoints?pageSize=200" + (token.empty() ? "" : "&pageToken=" + token));
    BOOST_TEST(page.checkpoints.empty());
    for (const auto& row : page.rlor_trainer_job_checkpoints) {
      BOOST_TEST(contains(row.create_time, ".") == (names.size() % 2 == 0), row.create_time);
      names.push_back(message::last_segment(row.name));
    }
    token = page.next_page_token;
  } while (!token.empty());
  BOOST_TEST(names == (std::vector<std::string>{"a", "b", "c"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(promotions) {
  platform_driver it;
  it.create_job("job");
  gateway_driver(it, "job").save("a", "base");
  const auto promote = [&](const std::string& model, std::optional<bool> async) {
    const message::promote_request given{.output_model = "accounts/acme/models/" + model,
                                         .trainer_job_id = "accounts/acme/rlorTrainerJobs/job",
                                         .base_model = qwen8,
                                         .async_promotion = async};
    return it.ask("POST", "/v1/accounts/acme/checkpoints/a:promote", message::to_json(given));
  };
  it.platform.set_fault({"promotion", "no_async", 1});
  const auto refused = promote("one", true);
  BOOST_TEST(refused.status == 400);
  BOOST_TEST(contains(refused.body, "async_promotion"));
  BOOST_TEST(contains(promote("one", {}).body, R"({"model":{"name":"accounts/acme/models/one")"));
  it.platform.set_fault({"promotion", "synchronous", 1});
  BOOST_TEST(contains(promote("two", true).body, R"({"model":)"));
  it.platform.set_fault({"lose_reply", "promote", 1});
  BOOST_TEST(promote("three", true).status == 502);
  BOOST_TEST(it.ask("GET", "/v1/accounts/acme/models/three").status == 200);
  BOOST_TEST(it.platform.counts().promotions == 3);
  it.platform.set_fault({"promotion_fails", "", 1});
  const auto begun = message::from_json<message::promote_reply>(promote("four", true).body);
  it.platform.set_fault({"refuse", "get_operation:503", 2});
  const std::string operation = "/v1/" + begun.operation->name;
  BOOST_TEST(it.ask("GET", operation).status == 503);
  BOOST_TEST(it.ask("GET", operation).status == 503);
  const auto done = it.ok<message::operation>("GET", operation);
  BOOST_TEST(done.done);
  BOOST_TEST(done.error->code.name == "INTERNAL");
  BOOST_TEST(it.ask("GET", "/v1/accounts/acme/models/four").status == 404);
}

BOOST_AUTO_TEST_CASE(streams_that_end_badly) {
  platform_driver it;
  it.create_deployment("d", "");
  auto given = it.completion("d");
  given.stream = true;
  it.platform.set_fault({"stream", "truncated", 1});
  const auto cut = message::read_events(it.complete(given).body);
  BOOST_TEST(cut.size() == 6u);
  BOOST_TEST(!contains(cut.back().data, "finish_reason"));
  it.platform.set_fault({"stream", "done_only", 1});
  BOOST_TEST(it.complete(given).body == "data: [DONE]\n\n");
  BOOST_TEST(message::read_events(it.complete(given).body).size() == 8u);
}

BOOST_AUTO_TEST_CASE(answers_of_a_deployment_that_are_not_right) {
  platform_driver it;
  it.create_deployment("d", "");
  auto given = it.completion("d");
  given.echo = true;
  it.platform.set_fault({"echo_mismatch", "", 1});
  BOOST_TEST(it.completed(given).choices.at(0).raw_output->completion_token_ids.at(0) != given.prompt.at(0));
  given.echo = false;
  given.temperature = 0.7;
  it.platform.set_fault({"no_sampling_logprob", "", 1});
  for (const auto& each : it.tokens(given)) BOOST_TEST(!each.sampling_logprob.has_value());
  it.platform.set_fault({"refuse", "completions:425", 1});
  it.platform.set_fault({"refuse", "completions:429:2", 1});
  const auto early = it.complete(given);
  BOOST_TEST(early.status == 425);
  BOOST_TEST(contains(early.body, R"({"error":{)"));
  BOOST_TEST(contains(it.complete(given).head, "Retry-After: 2"));
}

BOOST_AUTO_TEST_CASE(a_trainer_that_cannot_be_reached) {
  platform_driver it;
  it.create_job("job");
  gateway_driver trainer(it, "job");
  it.platform.set_fault({"refuse", "trainer/optim_step:503", 1});
  BOOST_TEST(trainer.post("optim_step", "{}").status == 503);
  BOOST_TEST(trainer.outcome("forward", wire::to_json(trainer.batch(true))).status == 200);
  BOOST_TEST(it.platform.executed("job").optim_step == 0);
}

BOOST_AUTO_TEST_CASE(faults_over_http_and_by_name) {
  platform_driver it;
  BOOST_TEST(it.ask("POST", "/gradwire/faults", R"({"name":"accounts","value":"two","times":1})").status == 200);
  BOOST_TEST(contains(it.ask("GET", "/gradwire/faults").body, R"({"name":"accounts","value":"two","times":1})"));
  BOOST_TEST(it.ask("DELETE", "/gradwire/faults").body == R"({"faults":[]})");
  for (const char* wrong :
       {R"({"name":"none"})", R"({"name":"accounts"})", R"({"name":"accounts","value":"three"})",
        R"({"name":"deployment_fails","value":"x"})", R"({"name":"refuse","value":"create_jop:503"})",
        R"({"name":"refuse","value":"create_job:5o3"})", R"({"name":"refuse","value":"create_job:200"})",
        R"({"name":"lose_reply","value":"trainer/optim_step"})", "{", "[]"})
    BOOST_TEST(it.ask("POST", "/gradwire/faults", wrong).status == 400, wrong);
  it.create_job("one");
  BOOST_TEST(contains(it.ask("GET", "/gradwire/counts").body, R"("jobs_created":1)"));
  BOOST_TEST(it.ask("POST", "/gradwire/clock", R"({"advance":4000})").status == 200);
  BOOST_TEST(it.job("one").state == "JOB_STATE_PAUSED");
  BOOST_TEST(it.ask("POST", "/gradwire/clock", R"({"advance":-1})").status == 400);
  BOOST_CHECK_THROW(it.platform.set_fault({"none"}), error);
  auto options = quick();
  options.faults = {{"accounts", "three"}};
  BOOST_CHECK_THROW(loopback::start_platform(options), error);
}

BOOST_AUTO_TEST_CASE(the_page_names_every_fault_and_operation) {
  std::ifstream file(GRADWIRE_TEST_DATA "/../../docs/embedded_platform.md", std::ios::binary);
  BOOST_REQUIRE(file.good());
  const std::string page(std::istreambuf_iterator<char>(file), {});
  for (const auto& each : loopback::known_faults)
    BOOST_TEST(contains(page, "\n| `" + std::string(each.name) + "` |"), each.name);
  for (const auto operation : loopback::hosting::known_operations)
    BOOST_TEST(contains(page, "`" + std::string(operation) + "`"), operation);
}

BOOST_AUTO_TEST_SUITE_END()
