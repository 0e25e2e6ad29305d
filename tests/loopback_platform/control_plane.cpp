// SPDX-License-Identifier: Apache-2.0
// Accounts, shapes, jobs and their states, quotas.
#include <algorithm>

#include "platform_driver.hpp"

BOOST_AUTO_TEST_SUITE(control_plane)

BOOST_AUTO_TEST_CASE(an_account) {
  const platform_driver it;
  const auto found = it.ok<message::accounts_reply>("GET", "/v1/accounts?pageSize=2");
  BOOST_REQUIRE(found.accounts.size() == 1u);
  BOOST_TEST(found.accounts[0].name == "accounts/acme");
  BOOST_TEST(it.refused(403, "GET", "/v1/accounts/other/rlorTrainerJobs").code.name == "PERMISSION_DENIED");
}

BOOST_AUTO_TEST_CASE(shapes_by_name_and_by_filter) {
  const platform_driver it;
  const auto latest = it.ok<message::training_shape_versions_reply>(
      "GET", "/v1/" + std::string(qwen8_shape) + "/versions?filter=latest_validated%3Dtrue&pageSize=1");
  BOOST_REQUIRE(latest.training_shape_versions.size() == 1u);
  BOOST_TEST(latest.training_shape_versions[0].name == std::string(qwen8_shape) + "/versions/v2");
  const auto one = it.ok<message::training_shape_version>("GET", "/v1/" + std::string(qwen8_shape) + "/versions/v1");
  BOOST_TEST(one.snapshot.max_supported_context_length == 131072);
  BOOST_TEST(it.refused(404, "GET", "/v1/accounts/fireworks/trainingShapes/none/versions").code.name == "NOT_FOUND");
  BOOST_TEST(it.refused(404, "GET", "/v1/" + std::string(qwen8_shape) + "/versions/v9").code.name == "NOT_FOUND");
  const auto all = it.ok<message::training_shape_versions_reply>(
      "GET",
      "/v1/accounts/-/trainingShapes/-/versions?filter=latest_validated%3Dtrue&orderBy=create_time+desc&pageSize=5");
  BOOST_TEST(all.training_shape_versions.size() == 5u);
  BOOST_TEST(all.total_size == 16);
  std::size_t seen = 5;
  std::string token = all.next_page_token;
  while (!token.empty()) {
    const auto more = it.ok<message::training_shape_versions_reply>(
        "GET", "/v1/accounts/-/trainingShapes/-/versions?filter=latest_validated%3Dtrue&pageSize=5&pageToken=" + token);
    seen += more.training_shape_versions.size();
    token = more.next_page_token;
  }
  BOOST_TEST(seen == 16u);
  const auto kimi = it.ok<message::training_shape_versions_reply>(
      "GET", "/v1/accounts/-/trainingShapes/-/versions" +
                 message::query_text({{"filter", R"(snapshot.base_model="accounts/fireworks/models/kimi-k2p5" AND )"
                                                 R"(snapshot.max_supported_context_length>=200000)"}}));
  BOOST_TEST(kimi.training_shape_versions.size() == 2u);
  BOOST_TEST(it.refused(400, "GET", "/v1/accounts/-/trainingShapes/-/versions?filter=nonsense").code.name ==
             "INVALID_ARGUMENT");
  const auto model = it.ok<message::model>("GET", "/v1/accounts/fireworks/models/kimi-k2p5");
  BOOST_TEST(model.base_model_details->moe);
}

BOOST_AUTO_TEST_CASE(a_job_goes_through_its_states) {
  auto options = quick();
  options.delays = {.job_pending = 100, .job_creating = 50, .job_unhealthy = 20};
  platform_driver it(options);
  const auto made = it.create_job("one", 8);
  BOOST_TEST(made.name == "accounts/acme/rlorTrainerJobs/one");
  BOOST_TEST(made.state == "JOB_STATE_PENDING");
  BOOST_TEST(made.training_shape == std::string(qwen8_shape) + "/versions/v2");
  BOOST_TEST(made.training_config.lora_rank == 8);
  BOOST_TEST(made.training_config.max_context_length.value_or(0) == 131072);
  const auto health = [&] { return it.ask("GET", "/training/v1/rlorTrainerJobs/acme/one/api/v1/healthz").status; };
  BOOST_TEST(health() == 503);
  it.platform.advance(101);
  BOOST_TEST(it.job("one").state == "JOB_STATE_CREATING");
  it.platform.advance(50);
  BOOST_TEST(it.job("one").state == "JOB_STATE_RUNNING");
  BOOST_TEST(health() == 503);
  it.platform.advance(20);
  BOOST_TEST(health() == 200);
}

BOOST_AUTO_TEST_CASE(a_job_is_created_once) {
  const platform_driver it;
  it.create_job("one");
  const auto body = message::to_json(platform_driver::policy());
  BOOST_TEST(it.refused(409, "POST", platform_driver::create_target("one", qwen8_shape), body).code.name ==
             "ALREADY_EXISTS");
  BOOST_TEST(it.platform.counts().jobs_created == 1);
  BOOST_TEST(it.ok<message::trainer_jobs_reply>("GET", it.jobs_path()).rlor_trainer_jobs.size() == 1u);
}

BOOST_AUTO_TEST_CASE(what_is_left_of_a_deleted_job) {
  platform_driver it;
  it.create_job("one");
  const std::string path = it.jobs_path() + "/one";
  BOOST_TEST(it.ask("DELETE", path).status == 200);
  BOOST_TEST(it.ask("DELETE", path).status == 200);
  BOOST_TEST(it.platform.counts().jobs_deleted == 1);
  BOOST_TEST(it.job("one").state == "JOB_STATE_DELETED");
  BOOST_TEST(it.ok<message::trainer_jobs_reply>("GET", it.jobs_path()).rlor_trainer_jobs.empty());
  BOOST_TEST(it.platform.jobs().empty());
  BOOST_TEST(it.refused(400, "POST", path + ":cancel", "{}").message ==
             "cannot cancel job in state: JOB_STATE_DELETED");
  BOOST_TEST(it.refused(400, "POST", path + ":resume").code.name == "FAILED_PRECONDITION");
  BOOST_TEST(it.refused(409, "POST", platform_driver::create_target("one", qwen8_shape),
                        message::to_json(platform_driver::policy()))
                 .code.name == "ALREADY_EXISTS");
  BOOST_TEST(it.ask("POST", "/training/v1/rlorTrainerJobs/acme/one/api/v1/create_session", "{}").status == 404);
  BOOST_TEST(it.ask("GET", path + "/checkpoints").status == 200);
  it.platform.advance(29 * 24 * 3600.0);
  BOOST_TEST(it.ask("GET", path).status == 200);
  it.platform.advance(2 * 24 * 3600.0);
  BOOST_TEST(it.ask("GET", path).status == 404);
}

BOOST_AUTO_TEST_CASE(cancel_resume_and_inactivity) {
  auto options = quick();
  options.delays.job_resuming = 3;
  platform_driver it(options);
  it.create_job("one");
  const std::string path = it.jobs_path() + "/one";
  BOOST_TEST(it.ok<message::trainer_job>("POST", path + ":cancel", "{}").state == "JOB_STATE_CANCELLED");
  BOOST_TEST(it.ok<message::trainer_job>("POST", path + ":resume").state ==
             "JOB_STATE_CANCELLED");  // still, for a while
  it.platform.advance(3);
  BOOST_TEST(it.job("one").state == "JOB_STATE_RUNNING");
  it.platform.advance(3500);
  BOOST_TEST(it.ask("GET", "/training/v1/rlorTrainerJobs/acme/one/api/v1/healthz").status == 200);
  it.platform.advance(3500);
  BOOST_TEST(it.job("one").state == "JOB_STATE_RUNNING");
  it.platform.advance(200);
  BOOST_TEST(it.job("one").state == "JOB_STATE_PAUSED");
  BOOST_TEST(it.platform.counts().jobs_resumed == 1);
}

// The error of creating a job with this change.
template <class Change>
message::status refused_job(const platform_driver& it, Change change, const std::string& shape = qwen8_shape,
                            const std::string& id = "one", int status = 400) {
  auto given = platform_driver::policy();
  change(given);
  return it.refused(status, "POST", platform_driver::create_target(id, shape), message::to_json(given));
}

BOOST_AUTO_TEST_CASE(what_no_job_is_made_of) {
  const platform_driver it;
  const auto as_is = [](auto&) {};
  const auto all = refused_job(it, [](auto& given) {
    given.node_count = 2;
    given.training_config.accelerator_type = "NVIDIA_H200_141GB";
    given.training_config.accelerator_count = 4;
    given.training_config.custom_image_tag = "mine";
  });
  for (const char* name : {"acceleratorType is the shape's (NVIDIA_H200_141GB)", "acceleratorCount is the shape's (4)",
                           "nodeCount is the shape's (1)", "customImageTag"})
    BOOST_TEST(contains(all.message, name), all.message);
  BOOST_TEST(contains(refused_job(it, as_is, "qwen3-8b-128k-h200").message, "no name like"));
  refused_job(it, as_is, "accounts/fireworks/trainingShapes/none", "one", 404);
  BOOST_TEST(contains(refused_job(it, as_is, qwen8_reference).message, "forwardOnly"));
  BOOST_TEST(contains(refused_job(it, as_is, "accounts/fireworks/trainingShapes/qwen3-4b-65k-h200").message,
                      "is for accounts/fireworks/models/qwen3-4b"));
  BOOST_TEST(contains(refused_job(it, as_is, qwen8_shape, std::string(64, 'a')).message, "64 characters"));
  BOOST_TEST(contains(refused_job(it, as_is, qwen8_shape, "Big").message, "'Big'"));
  BOOST_TEST(contains(refused_job(it, [](auto& given) { given.training_config.base_model = "x"; }).message, "'x'"));
  BOOST_TEST(
      contains(refused_job(it, [](auto& given) { given.display_name = std::string(64, 'd'); }).message, "displayName"));
  BOOST_TEST(contains(refused_job(it, [](auto& given) { given.inactivity_timeout = "4h"; }).message, "duration"));
  BOOST_TEST(contains(refused_job(it, [](auto& given) { given.inactivity_timeout = "10801s"; }).message, "10800s"));
  BOOST_TEST(contains(refused_job(it, [](auto& given) { given.disable_inactivity_cleanup = true; }).message,
                      "fireworks only"));
  BOOST_TEST(contains(refused_job(it, [](auto& given) { given.hot_load_deployment_id = "none"; }).message, "'none'"));
  BOOST_TEST(contains(it.refused(400, "POST", it.jobs_path() + "?skipValidations=true&rlorTrainerJobId=one",
                                 message::to_json(platform_driver::policy()))
                          .message,
                      "superusers"));
  it.refused(400, "POST", platform_driver::create_target("one", qwen8_shape), "{");
  it.refused(400, "POST", platform_driver::create_target("one", qwen8_shape), R"({"trainingConfig":7})");
  BOOST_TEST(it.platform.counts().jobs_created == 0);
}

BOOST_AUTO_TEST_CASE(a_shape_is_chosen_for_who_names_none) {
  const platform_driver it;
  auto given = platform_driver::policy();
  given.training_config.base_model = "accounts/fireworks/models/kimi-k2p5";
  const auto create = [&](const std::string& id) {
    return it.ok<message::trainer_job>("POST", it.jobs_path() + "?rlorTrainerJobId=" + id, message::to_json(given))
        .training_shape;
  };
  BOOST_TEST(contains(create("policy"), "/kimi-k2p5-256k-b200/"));
  given.training_config.lora_rank = 16;
  BOOST_TEST(contains(create("lora"), "/kimi-k2p5-80k-b300-lora/"));
  given.forward_only = true;
  BOOST_TEST(contains(create("reference"), "/kimi-k2p5-256k-b200-forward-only/"));
}

BOOST_AUTO_TEST_CASE(a_superuser_may_do_without_a_shape) {
  auto options = quick();
  options.superuser = true;
  const platform_driver it(options);
  auto given = platform_driver::policy();
  given.training_config.accelerator_type = "NVIDIA_H200_141GB";
  given.training_config.accelerator_count = 2;
  given.node_count = 1;
  const auto made = it.ok<message::trainer_job>("POST", it.jobs_path() + "?skipValidations=true&rlorTrainerJobId=one",
                                                message::to_json(given));
  BOOST_TEST(made.training_shape.empty());
  BOOST_TEST(made.training_config.accelerator_count.value_or(0) == 2);
}

BOOST_AUTO_TEST_CASE(quotas) {
  auto options = quick();
  options.quotas = {.trainer_jobs = 2, .deployments = 1, .accelerators = 8};
  const platform_driver it(options);
  it.create_job("one");
  it.create_job("two");
  const auto jobs = it.refused(429, "POST", platform_driver::create_target("three", qwen8_shape),
                               message::to_json(platform_driver::policy()));
  BOOST_TEST(jobs.code.name == "RESOURCE_EXHAUSTED");
  BOOST_TEST(message::reason_of(jobs) == "QUOTA_EXCEEDED");
  BOOST_TEST(jobs.details.at(0).domain == "training.fireworks.ai");
  BOOST_TEST(message::metadata_of(jobs, "quota_required") == "1");
  BOOST_TEST(message::metadata_of(jobs, "quota_available") == "0");
  BOOST_TEST(it.ask("DELETE", it.jobs_path() + "/two").status == 200);
  auto given = platform_driver::policy();
  given.training_config.base_model = "accounts/fireworks/models/qwen3-32b";  // needs 8, of which 4 are used
  const auto accelerators = it.refused(
      429, "POST", platform_driver::create_target("three", "accounts/fireworks/trainingShapes/qwen3-32b-65k-b200"),
      message::to_json(given));
  BOOST_TEST(message::metadata_of(accelerators, "quota_required") == "8");
  BOOST_TEST(message::metadata_of(accelerators, "quota_available") == "4");
  it.create_deployment("d", "one");
  it.refused(429, "POST", it.deployments_path() + "?deploymentId=e", message::to_json(it.rollout("one")));
  BOOST_TEST(it.platform.counts().jobs_created == 2);
  BOOST_TEST(it.platform.counts().deployments_created == 1);
}

BOOST_AUTO_TEST_CASE(a_reference_job_only_runs_forward) {
  const platform_driver it;
  BOOST_TEST(it.create_reference("ref").forward_only);
  gateway_driver reference(it, "ref");
  BOOST_TEST(reference.outcome("forward", wire::to_json(reference.batch(true))).status == 200);
  for (const char* name : {"forward_backward", "optim_step"}) {
    const auto reply = reference.post(name, wire::to_json(reference.batch()));
    BOOST_TEST(reply.status == 400);
    BOOST_TEST(contains(reply.body, "forward-only"), reply.body);
  }
  BOOST_TEST(it.platform.executed("ref").forward == 1);
  BOOST_TEST(it.platform.executed("ref").forward_backward == 0);
}

BOOST_AUTO_TEST_CASE(a_gateway_to_a_real_trainer) {
  const platform_driver it;
  it.create_job("one", 4);
  it.create_job("two");
  gateway_driver lora(it, "one", 4);
  lora.train(1e-2);
  BOOST_TEST(it.platform.executed("one").optim_step == 1);
  BOOST_TEST(it.platform.executed("two").create_model == 0);  // each job has its own
  BOOST_TEST(it.ask("POST", it.jobs_path() + "/one:cancel", "{}").status == 200);
  BOOST_TEST(it.platform.executed("one").optim_step == 1);  // also when it is gone
  const auto refused = gateway_driver(it, "two").post(
      "create_model", R"({"session_id":"s","model_seq_id":1,"base_model":"m","lora_config":{"rank":4}})");
  BOOST_TEST(refused.status == 400);
  BOOST_TEST(contains(refused.body, "rank 0"), refused.body);
  BOOST_TEST(it.ask("POST", "/training/v1/rlorTrainerJobs/acme/none/api/v1/create_session", "{}").status == 404);
  BOOST_TEST(it.ask("POST", "/training/v1/rlorTrainerJobs/other/one/api/v1/create_session", "{}").status == 403);
}

BOOST_AUTO_TEST_CASE(names_of_states_are_bare_on_the_gateway) {
  const platform_driver it;
  it.create_job("one");
  it.create_job("two");
  gateway_driver one(it, "one"), two(it, "two");
  one.train(1e-2);
  BOOST_TEST(one.save_state("step-1") == "step-1");
  BOOST_TEST(it.ask("GET", "/training/v1/rlorTrainerJobs/acme/one/api/v1/list_checkpoints").body ==
             R"({"checkpoints":["step-1"]})");
  const auto load = [](gateway_driver& at, const std::string& path) {
    return at.outcome("load_weights", R"({"model_id":")" + at.model + R"(","path":")" + path +
                                          R"(","optimizer":true,"seq_id":)" + std::to_string(++at.seq) + "}");
  };
  BOOST_TEST(load(one, "step-1").status == 200);
  BOOST_TEST(load(two, "cross_job://one/step-1").status == 200);
  const auto forward = [](gateway_driver& at) { return at.outcome("forward", wire::to_json(at.batch(true))).body; };
  BOOST_TEST(forward(one) == forward(two));
  BOOST_TEST(two.post("load_weights", R"({"model_id":"m","path":"step-9","seq_id":9})").status == 404);
  BOOST_TEST(two.post("load_weights", R"({"model_id":"m","path":"cross_job://one/../x","seq_id":9})").status == 400);
  BOOST_TEST(two.post("load_weights", R"({"model_id":"m","path":"cross_job://none/x","seq_id":9})").status == 404);
}

BOOST_AUTO_TEST_SUITE_END()
