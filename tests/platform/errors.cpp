// SPDX-License-Identifier: Apache-2.0
// What is wrong is told with its cause and the way out: addresses, keys, accounts, quotas, names that are too long.
#include "played.hpp"

using namespace playing;
namespace pf = gradwire::platform;

BOOST_AUTO_TEST_SUITE(errors)

namespace {

const std::string first_job = std::string(jobs_path) + "/grpo-1";

}  // namespace

BOOST_AUTO_TEST_CASE(a_key_belongs_to_exactly_one_account) {
  scene s;
  BOOST_TEST(s.get(s.client.account()) == "acme");
  BOOST_TEST(s.net->log.at(0).target == "/v1/accounts?pageSize=2");
  static_cast<void>(s.get(s.client.account()));
  BOOST_TEST(s.net->log.size() == 1u);  // remembered
  scene none;
  none.net->on("GET", "/v1/accounts", {reply(200, "{}")});
  must_fail(errc::config, {"belongs to no account"}, [&] { none.get(none.client.account()); });
  scene two;
  two.net->on("GET", "/v1/accounts", {reply(200, R"({"accounts":[{"name":"accounts/a"},{"name":"accounts/b"}]})")});
  must_fail(errc::config, {"more than one account (a, b)"}, [&] { two.get(two.client.account()); });
  scene odd;
  odd.net->on("GET", "/v1/accounts", {reply(200, R"({"accounts":[{"name":"accounts/../x"}]})")});
  must_fail(errc::protocol, {"no accounts/<id>"}, [&] { odd.get(odd.client.account()); });
}

BOOST_AUTO_TEST_CASE(a_wrong_key_says_where_it_came_from_and_not_what_it_is) {
  scene s;
  s.net->on("GET", "/v1/accounts", {reply(401, R"({"error":{"code":"UNAUTHENTICATED","message":"invalid key"}})")});
  must_fail(errc::status,
            {"401", "invalid key", "UNAUTHENTICATED", "one that may train", "the token given to connect()"},
            [&] { s.get(s.client.trainer_jobs().list()); });
}

BOOST_AUTO_TEST_CASE(a_quota_ends_the_call_at_once_with_its_numbers) {
  scene s;
  wp::error_reply no;
  no.error.code.name = "RESOURCE_EXHAUSTED";
  no.error.message = "not enough accelerators";
  no.error.details.push_back({std::string(wp::error_info_type),
                              "GPU_QUOTA_EXCEEDED",
                              "training.fireworks.ai",
                              {{"quota_required", "8"}, {"quota_available", "4"}}});
  s.net->on("POST", jobs_path, {reply(429, wp::to_json(no))});
  try {
    s.get(s.client.trainer_jobs().create(s.job_config()));
    BOOST_FAIL("it was created");
  } catch (const pf::refusal& e) {
    BOOST_TEST(e.details().http_status == 429);
    BOOST_TEST(e.code() == "RESOURCE_EXHAUSTED");
    BOOST_TEST(e.reason() == "GPU_QUOTA_EXCEEDED");
    BOOST_REQUIRE(e.metadata().size() == 2u);
    BOOST_TEST(e.metadata()[1].second == "4");
    const std::string_view text = e.what();
    for (const char* part : {"create trainer job grpo-1", "1 attempt", "429", "not enough accelerators", "required 8",
                             "available 4", "more quota"})
      BOOST_TEST(text.find(part) != text.npos, text << " lacks " << part);
  }
  BOOST_TEST(s.net->count("POST", jobs_path) == 1u);
  BOOST_TEST(s.net->seconds() == 0.0);
}

BOOST_AUTO_TEST_CASE(too_many_requests_are_sent_again_and_end_with_the_refusal) {
  scene s;
  s.net->on("GET", first_job,
            {reply(429, R"({"message":"slow down"})"), reply(429, "{}", {{"Retry-After", "7"}}),
             reply_with(job("grpo-1", "JOB_STATE_IDLE"))});
  BOOST_TEST((s.get(s.client.trainer_jobs().get("grpo-1")).state == pf::job_state::idle));
  BOOST_TEST(s.net->seconds() >= 7.0);
  s.net->on("GET", first_job, {reply(503, R"({"message":"upgrading"})")});
  must_fail(errc::status, {"get trainer job grpo-1", "attempts", "503", "upgrading", "try again later"},
            [&] { s.get(s.client.trainer_jobs().get("grpo-1")); });
  s.net->on("GET", first_job, {refused()});
  must_fail(errc::transport, {"https://api.example.com", "connection refused", "Check the address"},
            [&] { s.get(s.client.trainer_jobs().get("grpo-1")); });
}

BOOST_AUTO_TEST_CASE(A17_names_that_are_too_long_or_wrong_are_told_all_at_once_before_anything_is_sent) {
  scene s;
  pf::trainer_job_config config;
  config.lora_rank = -1;
  config.learning_rate = -1;
  config.gradient_accumulation_steps = 0;
  config.display_name = std::string(64, 'x');
  config.job_id = std::string(64, 'a');
  config.inactivity_timeout_seconds = 10801;
  must_fail(errc::config,
            {"base_model is empty", "lora_rank is -1", "display_name has 64 characters, at most 63",
             "job_id has 64 characters, at most 63", "10800", "learning_rate", "gradient_accumulation_steps is 0",
             "training_shape_ref is empty", "resolve_training_profile"},
            [&] { s.get(s.client.trainer_jobs().create(config)); });
  must_fail(errc::config, {"'Big_Name'", "lower-case letters"}, [&] { s.get(s.client.deployments().get("Big_Name")); });
  must_fail(errc::config, {"64 characters"},
            [&] { s.get(s.client.deployments().create({.deployment_id = std::string(64, 'd'), .base_model = "m"})); });
  must_fail(errc::config, {"no trainer job"}, [&] { s.get(s.client.trainer_jobs().remove("../models/x")); });
  BOOST_TEST(s.net->log.empty());
  auto fine = s.job_config();
  fine.display_name = std::string(63, 'x');
  fine.job_id = std::string(63, 'a');
  s.net->on("POST", jobs_path, {reply_with(job(fine.job_id, "JOB_STATE_CREATING"))});
  BOOST_TEST(s.get(s.client.trainer_jobs().create(fine)).id() == fine.job_id);
}

BOOST_AUTO_TEST_CASE(addresses_keys_and_options_are_checked_when_connecting) {
  must_fail(errc::config, {"address", "is empty"}, [] { static_cast<void>(pf::client::connect({"", "k"})); });
  must_fail(errc::config, {"over http"}, [] {
    static_cast<void>(pf::client::connect({"http://api.example.com", key}));
  });
  must_fail(errc::config, {"1 characters"}, [] { static_cast<void>(pf::client::connect({"https://a.b", " "})); });
  for (const char* address : {"https://api.example.com/fw/training/v1/serverless/",
                              "https://api.example.com/fw/training/v1", "https://api.example.com/fw/"}) {
    auto net = std::make_shared<played>();
    const auto client = pf::client::connect_through(net, {address, key});
    net->on("GET", "/fw/v1/accounts", {reply(200, R"({"accounts":[{"name":"accounts/acme"}]})")});
    auto coming = client.account();
    net->run();
    BOOST_TEST(coming.result() == "acme");
  }
}

BOOST_AUTO_TEST_CASE(every_address_of_its_own_loses_its_last_slash) {
  pf::client_options options;
  options.inference_url = "https://samples.example.com/a/";
  options.hot_load_url = "https://loads.example.com/b/";
  options.trainer_gateway_url = "https://trainers.example.com/c/";
  scene s(options);
  const std::string load_path = "/b" + std::string(hot_load_path);
  s.net->on("GET", std::string(deployments_path) + "/rollouts", {reply_with(served("rollouts", "READY"))});
  s.net->on("GET", load_path, {reply(200, R"({"replicas":[]})")});
  static_cast<void>(s.get(s.client.deployments().hot_load_state("rollouts")));
  BOOST_TEST(s.net->last("GET", load_path).host == "loads.example.com");
  s.net->on("POST", "/a" + std::string(completions_path), {reply(200, "{}")});
  static_cast<void>(s.get(s.client.deployments().warm_up("rollouts")));
  BOOST_TEST(s.net->log.back().host == "samples.example.com");
  s.net->on("GET", first_job, {reply_with(job("grpo-1", "JOB_STATE_RUNNING"))});
  BOOST_TEST(s.get(s.client.trainer_jobs().attach_policy("grpo-1")).url() ==
             "https://trainers.example.com/c/training/v1/rlorTrainerJobs/acme/grpo-1");
}

BOOST_AUTO_TEST_CASE(a_prefix_of_the_address_and_headers_of_the_user_are_in_every_request) {
  auto net = std::make_shared<played>();
  pf::client_options options;
  options.headers = {{"X-Tenant", "blue"}};
  const auto client = pf::client::connect_through(net, {"https://gate.example.com/fw", key}, options);
  net->on("GET", "/fw/v1/accounts", {reply(200, R"({"accounts":[{"name":"accounts/acme"}]})")});
  auto coming = client.account();
  net->run();
  BOOST_TEST(coming.result() == "acme");
  BOOST_TEST(net->log.at(0).header("X-Tenant") == "blue");
}

BOOST_AUTO_TEST_CASE(what_cannot_be_read_is_told_with_its_beginning) {
  scene s;
  s.net->on("GET", first_job, {reply(200, "<html>hello")});
  must_fail(errc::decode, {"get trainer job", "cannot be read", "<html>hello"},
            [&] { s.get(s.client.trainer_jobs().get("grpo-1")); });
  s.net->on("GET", first_job, {reply(200, R"({"name":7})")});
  must_fail(errc::decode, {"body.name", "string"}, [&] { s.get(s.client.trainer_jobs().get("grpo-1")); });
  s.net->on("GET", first_job, {reply(302, "", {{"Location", "https://elsewhere"}})});
  must_fail(errc::protocol, {"redirect", "final address"}, [&] { s.get(s.client.trainer_jobs().get("grpo-1")); });
}

BOOST_AUTO_TEST_CASE(an_error_in_any_form_has_its_sentence) {
  for (const auto& [body, text] :
       {std::pair(R"({"error":{"message":"why"}})", "why"), std::pair(R"({"error":"why"})", "why"),
        std::pair(R"({"message":"why"})", "why"), std::pair(R"({"detail":"why"})", "why"),
        std::pair("<p>why</p>", "<p>why</p>"), std::pair("[1,2]", "[1,2]"), std::pair("", "")})
    BOOST_TEST(wp::read_status(body).message == text);
  BOOST_TEST(wp::read_status(R"({"code":8})").code.name == "RESOURCE_EXHAUSTED");
  BOOST_TEST(wp::read_status(R"({"error":{"status":"NOT_FOUND"}})").code.name == "NOT_FOUND");
}

BOOST_AUTO_TEST_CASE(an_empty_client_or_job_says_so) {
  const pf::policy_job none;
  must_fail(errc::config, {"job is empty"}, [&] { static_cast<void>(none.service()); });
  const pf::deployment_sampler nobody;
  must_fail(errc::config, {"sampler is empty"}, [&] { static_cast<void>(nobody.sample({1})); });
}

BOOST_AUTO_TEST_SUITE_END()
