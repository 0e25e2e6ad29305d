// SPDX-License-Identifier: Apache-2.0
// What the platform lets in: the rules that hold for the embedded trainer, on every address of the platform.
#include <sys/resource.h>

#include <csignal>
#include <fstream>
#include <memory>

#include "../support/temporary_folder.hpp"
#include "platform_driver.hpp"

BOOST_AUTO_TEST_SUITE(security)

const std::vector<std::pair<const char*, const char*>> addresses = {
    {"GET", "/v1/accounts"},
    {"GET", "/v1/accounts/-/trainingShapes/-/versions"},
    {"POST", "/v1/accounts/acme/rlorTrainerJobs"},
    {"GET", "/v1/accounts/acme/rlorTrainerJobs/one"},
    {"DELETE", "/v1/accounts/acme/deployments/one"},
    {"POST", "/v1/accounts/acme/checkpoints/a:promote"},
    {"POST", "/hot_load/v1/models/hot_load"},
    {"POST", "/inference/v1/completions"},
    {"GET", "/training/v1/rlorTrainerJobs/acme/one/api/v1/healthz"},
    {"POST", "/training/v1/rlorTrainerJobs/acme/one/api/v1/optim_step"},
    {"GET", "/direct/acme/one/api/v1/healthz"},
    {"POST", "/gradwire/faults"},
    {"POST", "/gradwire/clock"},
    {"GET", "/gradwire/counts"},
    {"GET", "/nothing"},
};

BOOST_AUTO_TEST_CASE(K01_this_machine_only) {
  const platform_driver it;
  BOOST_TEST(it.platform.endpoint().url == "http://127.0.0.1:" + std::to_string(it.port));
  auto options = quick();
  options.address = "0.0.0.0";
  options.token = "fw_x";
  BOOST_CHECK_THROW(loopback::start_platform(options), error);
  options.token.clear();
  options.allow_other_machines = true;
  BOOST_CHECK_THROW(loopback::start_platform(options), error);  // a key of one's own too
}

BOOST_AUTO_TEST_CASE(K02_K03_a_host_and_an_origin) {
  const platform_driver it;
  raw_connection other(it.port);
  other.send("GET /v1/accounts HTTP/1.1\r\nHost: evil.example\r\n" + it.key() + "\r\n");
  BOOST_TEST(other.receive().status == 421);
  for (const auto& [method, target] : addresses)
    BOOST_TEST(it.ask(method, target, "", "Origin: http://evil.example\r\n").status == 403, target);
}

BOOST_AUTO_TEST_CASE(K04_nothing_without_the_key) {
  const platform_driver it, two;
  BOOST_TEST(it.token.starts_with("fw_"));
  BOOST_TEST(it.token.size() == 35u);
  BOOST_TEST((it.token != two.token));
  for (const auto& [method, target] : addresses)
    for (const std::string& key : {std::string(), "X-API-Key: " + two.token + "\r\n",
                                   "X-API-Key: " + it.token + "0\r\n", "Authorization: Basic " + it.token + "\r\n"}) {
      const auto reply = it.say(method, target, "", key);
      BOOST_TEST(reply.status == 401, method << ' ' << target);
      BOOST_TEST(message::read_status(reply.body).code.name == "UNAUTHENTICATED");
      BOOST_TEST(!contains(reply.body, it.token));
    }
  BOOST_TEST(it.say("GET", "/v1/accounts", "", "Authorization: Bearer " + it.token + "\r\n").status == 200);
  raw_connection stranger(it.port);  // its body is not even read
  stranger.send(
      "POST /v1/accounts/acme/rlorTrainerJobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n");
  BOOST_TEST(stranger.receive().status == 401);
}

BOOST_AUTO_TEST_CASE(K04_a_key_for_inference_trains_nothing) {
  auto options = quick();
  options.inference_token = "fw_only-inference";
  const platform_driver it(options);
  it.create_deployment("d", "");
  const std::string key = "Authorization: Bearer fw_only-inference\r\n";
  BOOST_TEST(it.say("POST", "/inference/v1/completions", message::to_json(it.completion("d")), key).status == 200);
  for (const auto& [method, target] : addresses) {
    if (contains(target, "/inference/")) continue;
    const auto reply = it.say(method, target, "", key);
    BOOST_TEST(reply.status == 401, target);
    BOOST_TEST(contains(reply.body, "inference only"), reply.body);
  }
}

BOOST_AUTO_TEST_CASE(K05_names_that_lead_elsewhere) {
  const temporary_folder folder;
  auto options = quick();
  options.files = folder.path / "platform";
  const platform_driver it(options);
  for (const char* id : {"..%2fx", "..", "a%2Fb", "a%00b", "CON%3A", "%2e%2e", "a b", "A"}) {
    const auto reply = it.ask("POST", std::string("/v1/accounts/acme/rlorTrainerJobs?rlorTrainerJobId=") + id,
                              message::to_json(it.policy()));
    BOOST_TEST(reply.status == 400, id << ' ' << reply.body);
    BOOST_TEST(it.ask("POST", it.deployments_path() + "?deploymentId=" + id, message::to_json(it.rollout(""))).status ==
               400);
  }
  it.create_job("job");
  gateway_driver trainer(it, "job");
  trainer.save("a", "base");
  it.create_deployment("d", "job");
  for (const char* identity : {"../a", "/etc/passwd", "tinker://../sampler_weights/a", "a/b"}) {
    const auto replica = it.load("d", identity);
    BOOST_TEST(replica.loading_state.stage == "error", identity);
  }
  const message::promote_request given{.output_model = "accounts/acme/models/../x",
                                       .trainer_job_id = "accounts/acme/rlorTrainerJobs/job",
                                       .base_model = qwen8};
  BOOST_TEST(it.ask("POST", "/v1/accounts/acme/checkpoints/a:promote", message::to_json(given)).status == 400);
  for (const auto& entry : std::filesystem::directory_iterator(folder.path))
    BOOST_TEST(entry.path().filename() == "platform");  // nothing was made beside it
}

BOOST_AUTO_TEST_CASE(K06_requests_that_two_readers_read_differently) {
  const platform_driver it;
  for (const char* extra :
       {"Content-Length: 2\r\nContent-Length: 3\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
        "Transfer-Encoding: gzip, chunked\r\n", "Host: localhost\r\n", "A: b\r\n folded\r\n", "A: b\nC: d\r\n"}) {
    raw_connection connection(it.port);
    connection.send("POST /v1/accounts/acme/rlorTrainerJobs HTTP/1.1\r\nHost: localhost\r\n" + it.key() + extra +
                    "\r\n{}");
    BOOST_TEST(connection.receive().status == 400, extra);
  }
  BOOST_TEST(it.platform.counts().jobs_created == 0);
}

BOOST_AUTO_TEST_CASE(K07_a_cap_on_connections_and_time_for_a_head) {
  auto options = quick();
  options.max_connections = 4;
  options.head_timeout_seconds = 0.2;
  const platform_driver it(options);
  BOOST_TEST(loopback::platform_options{}.head_timeout_seconds == 10);
  raw_connection slow(it.port);
  slow.send("GET /v1/accounts HTTP/1.1\r\nHost: localhost\r\nX: ");
  BOOST_TEST(slow.receive().status == 0);  // closed
  std::vector<std::unique_ptr<raw_connection>> held;
  for (int i = 0; i < 4; ++i) held.push_back(std::make_unique<raw_connection>(it.port));
  bool refused = false;
  for (int i = 0; i < 8 && !refused; ++i) {
    held.push_back(std::make_unique<raw_connection>(it.port));
    held.back()->send("GET /v1/accounts HTTP/1.1\r\nHost: localhost\r\n" + it.key() + "\r\n");
    refused = held.back()->receive().status == 503;
  }
  BOOST_TEST(refused);
}

BOOST_AUTO_TEST_CASE(K08_bodies_that_are_too_much) {
  auto options = quick();
  options.body_limit = 10000;
  const platform_driver it(options);
  for (const auto& [method, target] : addresses)
    if (std::string_view(method) == "POST")
      BOOST_TEST(it.ask(method, target, std::string(20000, ' ')).status == 413, target);
  std::string deep(5000, '[');
  deep += std::string(5000, ']');
  it.create_job("one");
  for (const char* target : {"/v1/accounts/acme/rlorTrainerJobs", "/v1/accounts/acme/deployments",
                             "/hot_load/v1/models/hot_load", "/inference/v1/completions", "/gradwire/faults"}) {
    const auto reply = it.ask("POST", target, deep.substr(0, 9999), it.to_deployment("none"));
    BOOST_TEST(reply.status >= 400, target);
    BOOST_TEST(reply.status < 500, target << ' ' << reply.body);
  }
  BOOST_TEST(it.ask("POST", "/training/v1/rlorTrainerJobs/acme/one/api/v1/create_model", deep.substr(0, 9999)).status ==
             422);
}

BOOST_AUTO_TEST_CASE(K09_method_path_and_type) {
  const platform_driver it;
  BOOST_TEST(it.ask("PUT", "/v1/accounts").status == 405);
  BOOST_TEST(it.ask("DELETE", "/inference/v1/completions").status == 405);
  for (const char* path : {"/", "/v1", "/v1/", "/v1/accounts/", "/v1//accounts", "/v2/accounts", "/v1/accounts/acme/x",
                           "/v1/accounts/acme/rlorTrainerJobs/a:b", "/training/v1/rlorTrainerJobs/acme"})
    BOOST_TEST(it.ask("GET", path).status == 404, path);
  const auto typed = it.say("POST", "/v1/accounts/acme/rlorTrainerJobs", "{}",
                            "X-API-Key: " + it.token + "\r\nContent-Type: text/plain\r\n");
  BOOST_TEST(typed.status == 415);
  const auto coded = it.ask("POST", "/v1/accounts/acme/rlorTrainerJobs", "{}", "Content-Encoding: gzip\r\n");
  BOOST_TEST(coded.status == 415);
}

// Whatever JSON comes, the answer is the platform's own: never a 500.
BOOST_AUTO_TEST_CASE(K09_bodies_of_another_form) {
  const platform_driver it;
  it.create_job("one");
  it.create_deployment("one", "one");
  for (const auto& [method, target] :
       {std::pair("POST", "/v1/accounts/acme/rlorTrainerJobs?rlorTrainerJobId=two"),
        std::pair("POST", "/v1/accounts/acme/rlorTrainerJobs/one:cancel"),
        std::pair("POST", "/v1/accounts/acme/deployments?deploymentId=two"),
        std::pair("PATCH", "/v1/accounts/acme/deployments/one?updateMask=min_replica_count"),
        std::pair("PATCH", "/v1/accounts/acme/deployments/one:scale"),
        std::pair("POST", "/v1/accounts/acme/checkpoints/a:promote"),
        std::pair("POST", "/v1/accounts/acme/deploymentShapeVersions:match"),
        std::pair("POST", "/hot_load/v1/models/hot_load"), std::pair("POST", "/inference/v1/completions"),
        std::pair("POST", "/gradwire/faults"), std::pair("POST", "/gradwire/clock"),
        std::pair("POST", "/training/v1/rlorTrainerJobs/acme/one/api/v1/create_model"),
        std::pair("POST", "/training/v1/rlorTrainerJobs/acme/one/api/v1/load_weights"),
        std::pair("POST", "/training/v1/rlorTrainerJobs/acme/one/api/v1/weights_info")})
    for (
        const char* body :
        {"",
         "null",
         "[]",
         "[1,2]",
         "7",
         "\"x\"",
         "{}",
         R"({"trainingConfig":[]})",
         R"({"trainingConfig":{"loraRank":"x"}})",
         R"({"trainingConfig":{"loraRank":99999999999999999999}})",
         R"({"baseModel":{}})",
         R"({"minReplicaCount":"-1"})",
         R"({"replicaCount":-5})",
         R"({"identity":[]})",
         R"({"identity":"a","incremental_snapshot_metadata":7})",
         R"({"model":"accounts/acme/deployments/one","prompt":{}})",
         R"({"model":"accounts/acme/deployments/one","prompt":[[1]]})",
         R"({"model":"accounts/acme/deployments/one","prompt":[-1]})",
         R"({"model":"accounts/acme/deployments/one","prompt":"\u0000","stop":["",7]})",
         R"({"model":"accounts/acme/deployments/one","prompt":[1],"max_tokens":-9223372036854775808})",
         R"({"model":"accounts/acme/deployments/one","prompt":[1],"max_tokens":9223372036854775807})",
         R"({"trainingConfig":{"baseModel":"accounts/fireworks/models/qwen3-8b"},"trainerReplicaCount":9223372036854775807})",
         R"({"maxReplicaCount":9223372036854775807,"minReplicaCount":9223372036854775807})",
         R"({"advance":1e300})",
         R"({"model":"accounts/acme/deployments/one","prompt":[1],"top_logprobs":-1,"seed":-1})",
         R"({"advance":1e999})",
         R"({"output_model":"accounts/acme/models/x","trainer_job_id":"/////"})",
         "{\"a\":",
         "\xff"}) {
      const auto reply = it.ask(method, target, body, it.to_deployment("one"));
      BOOST_TEST((reply.status >= 200 && reply.status != 500),
                 method << ' ' << target << ' ' << body << ": " << reply.status);
      BOOST_TEST(contains(reply.head, "application/json"), method << ' ' << target << ' ' << body);
    }
}

BOOST_AUTO_TEST_CASE(K10_a_full_disk) {
  const temporary_folder folder;
  auto options = quick();
  options.files = folder.path / "platform";
  const platform_driver it(options);
  it.create_job("job");
  it.create_deployment("d", "job");
  gateway_driver trainer(it, "job");
  trainer.save("a", "base");
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{4096, before.rlim_max};
  std::signal(SIGXFSZ, SIG_IGN);
  ::setrlimit(RLIMIT_FSIZE, &small);
  const auto full =
      trainer.outcome("save_weights_for_sampler",
                      R"({"model_id":")" + trainer.model + R"(","path":"b","seq_id":9,"checkpoint_type":"base"})");
  ::setrlimit(RLIMIT_FSIZE, &before);
  BOOST_TEST(full.status == 507, full.body);
  BOOST_TEST(it.load("d", "a").loading_state.stage == "done");
  BOOST_TEST(it.load("d", "b").loading_state.stage == "error");
}

BOOST_AUTO_TEST_CASE(two_platforms_do_not_know_each_other) {
  const platform_driver one, two;
  one.create_job("job");
  BOOST_TEST(two.ask("GET", two.jobs_path() + "/job").status == 404);
  loopback::platform moved = loopback::start_platform(quick());
  const std::string url = moved.endpoint().url;
  loopback::platform other = std::move(moved);
  BOOST_TEST(other.endpoint().url == url);
}

BOOST_AUTO_TEST_SUITE_END()
