// SPDX-License-Identifier: Apache-2.0
// Deployments, hot load of what a trainer really saved, completions from the deployment's own weights.
#include <cmath>

#include <gradwire/loopback/loaded_snapshot.hpp>
#include <gradwire/loopback/service/snapshot_api.hpp>

#include "../support/temporary_folder.hpp"
#include "platform_driver.hpp"

BOOST_AUTO_TEST_SUITE(serving)

// What a deployment says of the prompt, token by token.
std::vector<double> echo(const platform_driver& it, const std::string& id) {
  auto given = it.completion(id);
  given.prompt = {72, 101, 108, 108, 111, 32, 119, 111, 114, 108, 100};
  given.echo = true;
  given.max_tokens = 0;
  std::vector<double> logprobs;
  for (const auto& each : it.tokens(given)) logprobs.push_back(*each.logprob);
  return logprobs;
}

// The same from the weights in a folder, without any platform.
std::vector<double> scored(const loopback::frozen_model& weights) {
  const std::vector<std::int32_t> prompt = {72, 101, 108, 108, 111, 32, 119, 111, 114, 108, 100};
  const loopback::sample_request request{prompt, {.max_tokens = 1, .temperature = 0, .prompt_logprobs = true}};
  const auto result = weights.sample(std::span(&request, 1)).at(0);
  std::vector<double> logprobs(result.prompt_logprobs.begin(), result.prompt_logprobs.end());
  logprobs.front() = 0;
  return logprobs;
}

BOOST_AUTO_TEST_CASE(a_deployment_serves_what_was_hot_loaded) {
  const temporary_folder folder;
  auto options = quick();
  options.files = folder.path / "platform";
  const platform_driver it(options);
  it.create_job("job");
  BOOST_TEST(it.create_deployment("rollout", "job").state == "READY");
  const auto base = loopback::frozen_model::load({.threads = 1});
  BOOST_TEST(echo(it, "rollout") == scored(base), boost::test_tools::per_element());

  gateway_driver trainer(it, "job");
  loopback::loaded_snapshot expected(base);
  const loopback::detail::checkpoint_store store(folder.path / "platform" / "jobs" / "job");
  std::optional<std::string> previous;
  for (int step = 1; step <= 4; ++step) {
    trainer.train(1e-2);
    const std::string name = "step-" + std::to_string(step);
    BOOST_TEST(trainer.save(name, step == 1 ? "base" : "delta") == name);
    const auto replica = it.load("rollout", name, previous);
    BOOST_TEST(replica.current_snapshot_identity == name);
    BOOST_TEST(replica.loading_state.stage == "done");
    BOOST_TEST(replica.readiness);
    expected = expected.load(loopback::detail::find_snapshot(store, name), name, previous);
    BOOST_TEST(echo(it, "rollout") == scored(expected.weights()), boost::test_tools::per_element());
    previous = name;
  }
  BOOST_TEST(it.platform.counts().hot_loads == 4);
  BOOST_TEST(it.platform.hot_loads("rollout") == (std::vector<std::string>{"step-1", "step-2", "step-3", "step-4"}),
             boost::test_tools::per_element());
  // Its own copy: the trainer goes on and goes away, the deployment serves what it has.
  const auto before = echo(it, "rollout");
  trainer.train(1e-1);
  BOOST_TEST(it.ask("DELETE", it.jobs_path() + "/job").status == 200);
  BOOST_TEST(echo(it, "rollout") == before, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(an_adapter_is_loaded_too) {
  const platform_driver it;
  it.create_job("job", 4);
  it.create_deployment("rollout", "job");
  gateway_driver trainer(it, "job", 4);
  const auto before = echo(it, "rollout");
  trainer.train(5e-2);
  trainer.save("adapter", "base");
  BOOST_TEST(it.load("rollout", "adapter").current_snapshot_identity == "adapter");
  BOOST_TEST((echo(it, "rollout") != before));
}

BOOST_AUTO_TEST_CASE(hot_loads_that_are_refused) {
  const platform_driver it;
  it.create_job("job");
  it.create_deployment("rollout", "job");
  gateway_driver trainer(it, "job");
  for (const char* name : {"a", "b", "c"}) {
    trainer.train(1e-2);
    trainer.save(name, name[0] == 'a' ? "base" : "delta");
  }
  const auto fails = [&](const std::string& identity, const std::optional<std::string>& previous, const char* said) {
    const auto before = echo(it, "rollout");
    const auto replica = it.load("rollout", identity, previous);
    BOOST_TEST(replica.loading_state.stage == "error");
    BOOST_TEST(replica.loading_state.target_snapshot_identity == identity);
    BOOST_TEST(contains(replica.loading_state.error, said), replica.loading_state.error);
    BOOST_TEST(echo(it, "rollout") == before, boost::test_tools::per_element());
  };
  fails("none", {}, "no snapshot 'none'");
  fails("b", {}, "'b'");   // a delta as if it were all
  fails("b", "a", "'a'");  // nothing is loaded yet
  BOOST_TEST(it.load("rollout", "a").loading_state.stage == "done");
  fails("c", "a", "'c'");  // b is missing in between
  fails("c", "b", "'b'");  // …
  fails("b", "b", "'b'");  // to itself
  fails("../a", {}, "a");
  BOOST_TEST(it.load("rollout", "b", "a").loading_state.stage == "done");
  BOOST_TEST(it.load("rollout", "c", "b").loading_state.stage == "done");
  const auto refused = [&](int status, const std::string& body, const std::string& headers) {
    return it.refused(status, "POST", "/hot_load/v1/models/hot_load", body, headers).message;
  };
  const std::string to = it.to_deployment("rollout");
  BOOST_TEST(contains(refused(400, R"({"identity":"a","other":1})", to), "Extra inputs are not permitted"));
  BOOST_TEST(contains(refused(400, R"({"reset_prompt_cache":true})", to), "identity"));
  BOOST_TEST(contains(refused(400, R"({"identity":"a"})", ""), "fireworks-deployment"));
  refused(404, R"({"identity":"a"})", it.to_deployment("none"));
  BOOST_TEST(contains(refused(400, R"({"identity":"a"})",
                              "fireworks-deployment: accounts/acme/deployments/rollout\r\nfireworks-model: x\r\n"),
                      "fireworks-model"));
  BOOST_TEST(contains(refused(400, R"({"identity":"b","incremental_snapshot_metadata":{"previous_snapshot_identity":"a",
      "compression_format":"zip","checksum_format":"alder32"}})",
                              to),
                      "arc_v2"));
}

BOOST_AUTO_TEST_CASE(a_load_that_takes_time) {
  auto options = quick();
  options.delays.hot_load = 30;
  platform_driver it(options);
  it.create_job("job");
  it.create_deployment("rollout", "job");
  gateway_driver trainer(it, "job");
  trainer.save("a", "base");
  BOOST_TEST(it.hot_load("rollout", "a").status == 200);
  echo(it, "rollout");  // is answered after the load that is before it
  const auto early = it.hot_load_status("rollout").replicas->at(0);
  BOOST_TEST(early.current_snapshot_identity == "");
  BOOST_TEST(early.loading_state.stage == "loading");
  it.platform.advance(30);
  BOOST_TEST(it.settled("rollout").current_snapshot_identity == "a");
}

BOOST_AUTO_TEST_CASE(another_trainer_means_new_pods) {
  const platform_driver it;
  it.create_job("one");
  it.create_job("two");
  it.create_deployment("rollout", "one");
  gateway_driver trainer(it, "one");
  trainer.train(1e-2);
  trainer.save("a", "base");
  const auto first = it.load("rollout", "a");
  const std::string path = it.deployments_path() + "/rollout";
  const auto changed = it.ok<message::deployment>(
      "PATCH", path + "?updateMask=hot_load_trainer_job%2Chot_load_transition_type",
      R"({"hotLoadTrainerJob":"accounts/acme/rlorTrainerJobs/two","hotLoadTransitionType":"SYNC"})");
  BOOST_TEST(changed.hot_load_trainer_job == "accounts/acme/rlorTrainerJobs/two");
  BOOST_TEST(changed.hot_load_transition_type == "SYNC");
  BOOST_TEST(changed.max_replica_count == 1);
  const auto second = it.settled("rollout");
  BOOST_TEST(second.current_snapshot_identity == "");
  BOOST_TEST(second.identity != first.identity);
  BOOST_TEST(contains(it.load("rollout", "a").loading_state.error, "no snapshot 'a'"));
  it.refused(400, "PATCH", path + "?updateMask=base_model", R"({"baseModel":"x"})");
  it.refused(400, "PATCH", path + "?updateMask=hot_load_trainer_job", R"({"hotLoadTrainerJob":"two"})");
  it.refused(400, "PATCH", path + "?updateMask=min_replica_count", R"({"minReplicaCount":5})");
}

BOOST_AUTO_TEST_CASE(a_job_that_is_linked_to_a_deployment) {
  const platform_driver it;
  it.create_deployment("rollout", "");
  auto given = platform_driver::policy();
  given.hot_load_deployment_id = "rollout";
  it.ok<message::trainer_job>("POST", platform_driver::create_target("job", qwen8_shape) + "&deploymentId=rollout",
                              message::to_json(given));
  gateway_driver trainer(it, "job");
  trainer.save("a", "base");
  BOOST_TEST(it.load("rollout", "a").loading_state.stage == "done");
}

BOOST_AUTO_TEST_CASE(deployments_come_and_go) {
  auto options = quick();
  options.delays.deployment_creating = 60;
  options.delays.deployment_deleting = 5;
  platform_driver it(options);
  it.create_job("job");
  it.create_deployment("rollout", "job");
  const std::string path = it.deployments_path() + "/rollout";
  const auto state = [&] { return it.ok<message::deployment>("GET", path).state; };
  it.refused(409, "POST", it.deployments_path() + "?deploymentId=rollout", message::to_json(it.rollout("job")));
  const auto early = it.complete(it.completion("rollout"));
  BOOST_TEST(early.status == 425);
  BOOST_TEST(contains(early.head, "Retry-After: 1"));
  BOOST_TEST(it.hot_load_status("rollout").replicas->empty());
  BOOST_TEST(it.hot_load("rollout", "a").status == 400);
  it.platform.advance(60);
  BOOST_TEST(state() == "READY");
  BOOST_TEST(it.complete(it.completion("rollout")).status == 200);
  const auto scaled = it.ok<message::deployment>("PATCH", path + "?updateMask=min_replica_count,max_replica_count",
                                                 R"({"minReplicaCount":0,"maxReplicaCount":0})");
  BOOST_TEST(scaled.hot_load_trainer_job == "accounts/acme/rlorTrainerJobs/job");
  BOOST_TEST(it.complete(it.completion("rollout")).status == 425);
  const auto reset = it.ok<message::deployment>("PATCH", path, R"({"minReplicaCount":0,"maxReplicaCount":1})");
  BOOST_TEST(reset.hot_load_trainer_job == "");  // without a mask everything is set
  BOOST_TEST(it.ok<message::deployment>("PATCH", path + ":scale", R"({"replicaCount":2})").min_replica_count == 2);
  BOOST_TEST(it.ask("DELETE", path + "?ignoreChecks=true&hard=true").status == 200);
  BOOST_TEST(state() == "DELETING");
  it.platform.advance(5);
  BOOST_TEST(it.ask("GET", path).status == 404);
  BOOST_TEST(it.complete(it.completion("rollout")).status == 404);
  BOOST_TEST(it.platform.counts().deployments_deleted == 1);
  BOOST_TEST(it.create_deployment("rollout", "job").state == "CREATING");  // its id is free again
}

BOOST_AUTO_TEST_CASE(what_no_deployment_is_made_of) {
  const platform_driver it;
  it.create_job("job");
  const auto refused = [&](int status, auto change, const std::string& id = "one") {
    auto given = it.rollout("job");
    change(given);
    return it.refused(status, "POST", it.deployments_path() + "?deploymentId=" + id, message::to_json(given)).message;
  };
  BOOST_TEST(contains(refused(
                          400, [](auto&) {}, std::string(64, 'a')),
                      "64 characters"));
  BOOST_TEST(contains(refused(400, [](auto& d) { d.base_model = "x"; }), "'x'"));
  BOOST_TEST(contains(refused(400, [](auto& d) { d.accelerator_type = "NVIDIA_H200_141GB"; }), "acceleratorType"));
  BOOST_TEST(contains(refused(400, [](auto& d) { d.min_replica_count = 2; }), "minReplicaCount"));
  BOOST_TEST(contains(refused(400, [](auto& d) { d.hot_load_trainer_job = "job"; }), "no name like"));
  BOOST_TEST(contains(refused(400, [](auto& d) { d.hot_load_trainer_job = "accounts/acme/rlorTrainerJobs/none"; }),
                      "does not exist"));
  refused(404, [](auto& d) { d.deployment_shape = "accounts/fireworks/deploymentShapes/none/versions/v1"; });
  BOOST_TEST(contains(refused(400,
                              [](auto& d) {
                                d.deployment_shape =
                                    "accounts/fireworks/deploymentShapes/qwen3-4b-65k-h200-rollout/versions/v1";
                              }),
                      "qwen3-4b"));
  BOOST_TEST(it.platform.counts().deployments_created == 0);
}

BOOST_AUTO_TEST_CASE(checkpoints_and_their_promotion) {
  auto options = quick();
  options.delays.promotion = 20;
  platform_driver it(options);
  it.create_job("job");
  gateway_driver trainer(it, "job");
  trainer.train(1e-2);
  trainer.save("a", "base");
  trainer.train(1e-2);
  trainer.save("b", "delta");
  trainer.save_state("s");
  const std::string job = "accounts/acme/rlorTrainerJobs/job";
  const auto rows =
      it.ok<message::job_checkpoints_reply>("GET", "/v1/" + job + "/checkpoints?pageSize=200").checkpoints;
  BOOST_REQUIRE(rows.size() == 3u);
  BOOST_TEST(rows[0].name == job + "/checkpoints/a");
  BOOST_TEST(rows[0].checkpoint_type == "CHECKPOINT_TYPE_INFERENCE_BASE");
  BOOST_TEST(rows[0].promotable);
  BOOST_TEST(rows[1].checkpoint_type == "CHECKPOINT_TYPE_INFERENCE_ARC_V2");
  BOOST_TEST(!rows[1].promotable);
  BOOST_TEST(rows[2].checkpoint_type == "CHECKPOINT_TYPE_TRAINING");
  BOOST_TEST(!rows[2].promotable);
  const message::promote_request wish{
      .output_model = "accounts/acme/models/mine", .trainer_job_id = job, .base_model = qwen8, .async_promotion = true};
  const auto promote = [&](const std::string& id, message::promote_request given) {
    return std::pair(std::string("/v1/accounts/acme/checkpoints/" + id + ":promote"), message::to_json(given));
  };
  const auto refused = [&](int status, const std::string& id, auto change) {
    auto given = wish;
    change(given);
    const auto [target, body] = promote(id, given);
    return it.refused(status, "POST", target, body).message;
  };
  BOOST_TEST(contains(refused(400, "b", [](auto&) {}), "ARC_V2"));
  BOOST_TEST(contains(refused(400, "s", [](auto&) {}), "TRAINING"));
  refused(404, "none", [](auto&) {});
  BOOST_TEST(
      contains(refused(400, "a", [](auto& p) { p.output_model = "accounts/acme/models/Mine"; }), "output_model"));
  BOOST_TEST(contains(refused(400, "a", [](auto& p) { p.base_model = "x"; }), "base_model"));
  it.ask("DELETE", "/v1/" + job);  // its checkpoints stay
  const auto [target, body] = promote("a", wish);
  const auto begun = it.ok<message::promote_reply>("POST", target, body);
  BOOST_REQUIRE(begun.operation.has_value());
  BOOST_TEST(!begun.operation->done);
  BOOST_TEST(it.ok<message::model>("GET", "/v1/accounts/acme/models/mine").state == "UPLOADING");
  it.platform.advance(20);
  const auto done = it.ok<message::operation>("GET", "/v1/" + begun.operation->name);
  BOOST_TEST(done.done);
  BOOST_TEST(done.response->name == "accounts/acme/models/mine");
  BOOST_TEST(it.refused(409, "POST", target, body).code.name == "ALREADY_EXISTS");
  BOOST_TEST(it.platform.counts().promotions == 1);
  BOOST_TEST(it.ok<message::model>("GET", "/v1/accounts/acme/models/mine").state == "READY");
  // A promoted model can be deployed.
  message::create_deployment_request served;
  served.base_model = "accounts/acme/models/mine";
  it.ok<message::deployment>("POST", it.deployments_path() + "?deploymentId=mine", message::to_json(served));
  it.create_deployment("plain", "");
  BOOST_TEST((echo(it, "mine") != echo(it, "plain")));
}

BOOST_AUTO_TEST_CASE(completions) {
  const platform_driver it;
  it.create_deployment("rollout", "");
  auto given = it.completion("rollout");
  const auto whole = it.completed(given);
  const auto& choice = whole.choices.at(0);
  BOOST_TEST(choice.raw_output->completion_token_ids.size() == 6u);
  BOOST_TEST(choice.raw_output->prompt_token_ids == given.prompt, boost::test_tools::per_element());
  BOOST_TEST(choice.finish_reason.value_or("") == "length");
  BOOST_TEST(choice.logprobs->content.size() == 6u);
  for (const auto& each : choice.logprobs->content) {
    BOOST_TEST(each.sampling_logprob.value_or(-1) == 0);  // the most probable token is taken
    BOOST_TEST(each.logprob.value_or(1) < 0);
  }
  BOOST_TEST(whole.usage->prompt_tokens == 5);
  BOOST_TEST(whole.usage->completion_tokens == 6);
  BOOST_TEST(whole.perf_metrics->size() == 7u);

  given.stream = true;
  const auto reply = it.complete(given, "x-request-id: 0123456789abcdef0123456789abcdef\r\n");
  BOOST_TEST(reply.status == 200);
  BOOST_TEST(contains(reply.head, "text/event-stream"));
  BOOST_TEST(contains(reply.head, "x-request-id: 0123456789abcdef0123456789abcdef"));
  const auto events = message::read_events(reply.body);
  BOOST_REQUIRE(events.size() == 8u);
  BOOST_TEST(events.back().data == "[DONE]");
  std::string text;
  std::vector<std::int32_t> ids;
  for (std::size_t i = 0; i + 2 < events.size(); ++i) {
    const auto event = message::from_json<message::completion_reply>(events[i].data);
    text += event.choices.at(0).text;
    ids.push_back(static_cast<std::int32_t>(event.choices.at(0).logprobs->content.at(0).token_id));
    BOOST_TEST(!event.choices.at(0).finish_reason.has_value());
  }
  BOOST_TEST(text == choice.text);
  BOOST_TEST(ids == choice.raw_output->completion_token_ids, boost::test_tools::per_element());
  const auto last = message::from_json<message::completion_reply>(events[6].data);
  BOOST_TEST(last.choices.at(0).finish_reason.value_or("") == "length");
  BOOST_TEST(last.choices.at(0).raw_output->completion_token_ids == ids, boost::test_tools::per_element());
}

// softmax of logprobs by the textbook, in double.
double tempered(const std::vector<message::top_logprob>& all, double of, double temperature) {
  double sum = 0;
  for (const auto& each : all) sum += std::exp(each.logprob / temperature);
  return of / temperature - std::log(sum);
}

BOOST_AUTO_TEST_CASE(logprobs_of_what_was_sampled_from) {
  const platform_driver it;
  it.create_deployment("rollout", "");
  auto given = it.completion("rollout");
  given.seed = 7;
  given.temperature = 1;
  for (const auto& each : it.tokens(given)) BOOST_TEST(*each.sampling_logprob == *each.logprob);
  given.temperature = 0.7;
  given.top_k = 5;
  given.top_logprobs = 5;
  for (const auto& each : it.tokens(given)) {
    BOOST_REQUIRE(each.top_logprobs->size() == 5u);  // exactly what is left to draw from
    BOOST_TEST(std::abs(*each.sampling_logprob - tempered(*each.top_logprobs, *each.logprob, 0.7)) < 1e-5);
  }
  given.top_k = 0;
  given.temperature = 1;
  given.top_p = 1e-6;  // one token is left
  for (const auto& each : it.tokens(given)) BOOST_TEST(std::abs(*each.sampling_logprob) < 1e-6);
}

BOOST_AUTO_TEST_CASE(echo_and_stop) {
  const platform_driver it;
  it.create_deployment("rollout", "");
  auto given = it.completion("rollout");
  const auto plain = it.completed(given).choices.at(0);
  given.echo = true;
  const auto echoed = it.completed(given).choices.at(0);
  BOOST_TEST(echoed.text == "Hello" + plain.text);
  const auto& ids = echoed.raw_output->completion_token_ids;
  BOOST_TEST(ids.size() == 11u);
  BOOST_TEST(std::vector<std::int32_t>(ids.begin(), ids.begin() + 5) == given.prompt, boost::test_tools::per_element());
  BOOST_TEST(echoed.logprobs->content.size() == 11u);
  BOOST_TEST(echoed.logprobs->content.at(0).logprob.value_or(1) == 0);
  BOOST_TEST(!echoed.logprobs->content.at(4).sampling_logprob.has_value());
  BOOST_TEST(echoed.logprobs->content.at(5).sampling_logprob.has_value());
  for (std::size_t i = 0; i < 6; ++i)
    BOOST_TEST(*echoed.logprobs->content[5 + i].logprob == *plain.logprobs->content[i].logprob);

  given = it.completion("rollout");
  given.temperature = 1;
  given.max_tokens = 200;
  std::size_t stopped = 0;
  for (int seed = 0; seed < 8; ++seed) {  // some of these say it
    given.seed = seed;
    given.stop = std::vector<std::string>{"a", "b", "c", "e"};
    const auto choice = it.completed(given).choices.at(0);
    BOOST_TEST(choice.text.find_first_of("abce") == std::string::npos);
    if (choice.finish_reason.value_or("") != "stop") continue;
    ++stopped;
    const std::int32_t end = choice.raw_output->completion_token_ids.back();
    BOOST_TEST((end == 'a' || end == 'b' || end == 'c' || end == 'e' || end >= 256), end);
  }
  BOOST_TEST(stopped > 0u);
}

BOOST_AUTO_TEST_CASE(completions_that_are_refused) {
  const platform_driver it;
  it.create_deployment("rollout", "");
  const auto refused = [&](int status, auto change) {
    auto given = it.completion("rollout");
    change(given);
    const auto reply = it.complete(given);
    BOOST_TEST(reply.status == status, reply.body);
    return message::read_status(reply.body).message;
  };
  BOOST_TEST(contains(refused(400, [](auto& c) { c.n = 2; }), "n must be 1"));
  BOOST_TEST(contains(refused(400, [](auto& c) { c.prompt.clear(); }), "empty"));
  BOOST_TEST(contains(refused(400, [](auto& c) { c.prompt = {100000}; }), "100000"));
  BOOST_TEST(contains(refused(400, [](auto& c) { c.max_tokens = 5000; }), "5000"));
  BOOST_TEST(contains(refused(400, [](auto& c) { c.temperature = -1; }), "temperature"));
  BOOST_TEST(contains(refused(400, [](auto& c) { c.top_p = 0; }), "top_p"));
  refused(404, [](auto& c) { c.model = qwen8; });
  refused(404, [](auto& c) { c.model = "accounts/acme/deployments/none"; });
  BOOST_TEST(it.ask("POST", "/inference/v1/completions", "{").status == 400);
  BOOST_TEST(it.ask("POST", "/inference/v1/completions",
                    R"({"model":"accounts/acme/deployments/rollout","prompt":"Hello","max_tokens":1})")
                 .status == 200);  // text is a prompt too
  BOOST_TEST(it.platform.counts().completions == 1);
}

BOOST_AUTO_TEST_SUITE_END()
