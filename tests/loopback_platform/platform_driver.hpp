// SPDX-License-Identifier: Apache-2.0
// An embedded platform and what its clients do, with the wire's own messages over a socket.
#pragma once
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12 is wrong about half-made messages in braces

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gradwire/loopback/platform.hpp>
#include <gradwire/wire/json_codec.hpp>
#include <gradwire/wire/outcome.hpp>
#include <gradwire/wire/platform.hpp>

#include "../loopback/raw_http.hpp"

using namespace gradwire;
namespace message = wire::platform;

inline constexpr const char* qwen8 = "accounts/fireworks/models/qwen3-8b";
inline constexpr const char* qwen8_shape = "accounts/fireworks/trainingShapes/qwen3-8b-128k-h200";
inline constexpr const char* qwen8_reference = "accounts/fireworks/trainingShapes/qwen3-8b-128k-h200-forward-only";

inline bool contains(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

// One thread, no delays but those that a test asks for.
inline loopback::platform_options quick() {
  loopback::platform_options options;
  options.threads = 1;
  options.debug = true;
  options.delays = {.job_creating = 0, .deployment_creating = 0, .promotion = 0};
  return options;
}

struct platform_driver {
  loopback::platform platform;
  std::uint16_t port = 0;
  std::string token{};

  explicit platform_driver(loopback::platform_options options = quick()) : platform(std::move(options)) {
    port = parse_url(platform.endpoint().url).port;
    token = platform.endpoint().token;
  }

  raw_reply say(std::string_view method, std::string_view target, std::string_view body,
                std::string_view headers) const {
    raw_connection connection(port);
    connection.send(std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: 127.0.0.1\r\n" +
                    std::string(headers) + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                    std::string(body));
    return connection.receive();
  }
  std::string key() const { return "X-API-Key: " + token + "\r\nContent-Type: application/json\r\n"; }

  raw_reply ask(std::string_view method, std::string_view target, std::string_view body = "",
                std::string_view headers = "") const {
    return say(method, target, body, key() + std::string(headers));
  }
  template <class Reply>
  Reply ok(std::string_view method, std::string_view target, std::string_view body = "",
           std::string_view headers = "") const {
    const auto reply = ask(method, target, body, headers);
    BOOST_REQUIRE_MESSAGE(reply.status == 200, method << ' ' << target << ": " << reply.status << ' ' << reply.body);
    return message::from_json<Reply>(reply.body);
  }
  // The status of an answer that must be an error with this HTTP status.
  message::status refused(int http_status, std::string_view method, std::string_view target, std::string_view body = "",
                          std::string_view headers = "") const {
    const auto reply = ask(method, target, body, headers);
    BOOST_TEST(reply.status == http_status, method << ' ' << target << ": " << reply.status << ' ' << reply.body);
    return message::read_status(reply.body);
  }

  // ---- jobs ----
  static std::string jobs_path() { return "/v1/accounts/acme/rlorTrainerJobs"; }
  static std::string create_target(const std::string& id, const std::string& shape) {
    return jobs_path() + message::query_text({{"trainingShape", shape}, {"rlorTrainerJobId", id}});
  }
  static message::create_trainer_job_request policy(std::int64_t rank = 0) {
    message::create_trainer_job_request given;
    given.training_config.base_model = qwen8;
    given.training_config.lora_rank = rank;
    return given;
  }
  message::trainer_job create_job(const std::string& id, std::int64_t rank = 0) const {
    return ok<message::trainer_job>("POST", create_target(id, qwen8_shape), message::to_json(policy(rank)));
  }
  message::trainer_job create_reference(const std::string& id) const {
    auto given = policy();
    given.forward_only = true;
    return ok<message::trainer_job>("POST", create_target(id, qwen8_reference), message::to_json(given));
  }
  message::trainer_job job(const std::string& id) const {
    return ok<message::trainer_job>("GET", jobs_path() + "/" + id);
  }

  // ---- deployments ----
  static std::string deployments_path() { return "/v1/accounts/acme/deployments"; }
  static message::create_deployment_request rollout(const std::string& job) {
    message::create_deployment_request given;
    given.base_model = qwen8;
    if (!job.empty()) given.hot_load_trainer_job = "accounts/acme/rlorTrainerJobs/" + job;
    given.deployment_shape = "accounts/fireworks/deploymentShapes/qwen3-8b-128k-h200-rollout/versions/v2";
    return given;
  }
  message::deployment create_deployment(const std::string& id, const std::string& job) const {
    return ok<message::deployment>("POST", deployments_path() + "?deploymentId=" + id, message::to_json(rollout(job)));
  }
  static std::string to_deployment(const std::string& id) {
    return "fireworks-model: " + std::string(qwen8) + "\r\nfireworks-deployment: accounts/acme/deployments/" + id +
           "\r\n";
  }
  raw_reply hot_load(const std::string& id, const std::string& identity,
                     const std::optional<std::string>& previous = {}) const {
    message::hot_load_request given{.identity = identity};
    if (previous) given.incremental_snapshot_metadata.emplace().previous_snapshot_identity = *previous;
    return ask("POST", "/hot_load/v1/models/hot_load", message::to_json(given), to_deployment(id));
  }
  message::hot_load_status hot_load_status(const std::string& id) const {
    return ok<message::hot_load_status>("GET", "/hot_load/v1/models/hot_load", "", to_deployment(id));
  }
  // The first replica when it has done what was asked last.
  message::hot_load_replica settled(const std::string& id) const {
    for (const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);;) {
      const auto status = hot_load_status(id);
      BOOST_REQUIRE(status.replicas && !status.replicas->empty());
      const auto& replica = status.replicas->front();
      if (replica.loading_state.stage != "loading" || std::chrono::steady_clock::now() > until) return replica;
      std::this_thread::yield();
    }
  }
  message::hot_load_replica load(const std::string& id, const std::string& identity,
                                 const std::optional<std::string>& previous = {}) const {
    const auto reply = hot_load(id, identity, previous);
    BOOST_REQUIRE_MESSAGE(reply.status == 200, reply.status << ' ' << reply.body);
    return settled(id);
  }
  static message::completion_request completion(const std::string& id) {
    message::completion_request given;
    given.model = "accounts/acme/deployments/" + id;
    given.prompt = {72, 101, 108, 108, 111};
    given.max_tokens = 6;
    given.temperature = 0;
    given.logprobs = true;
    given.raw_output = true;
    given.perf_metrics_in_response = true;
    return given;
  }
  raw_reply complete(const message::completion_request& given, std::string_view headers = "") const {
    return ask("POST", "/inference/v1/completions", message::to_json(given), headers);
  }
  message::completion_reply completed(const message::completion_request& given) const {
    return ok<message::completion_reply>("POST", "/inference/v1/completions", message::to_json(given));
  }
  std::vector<message::token_record> tokens(const message::completion_request& given) const {
    auto found = completed(given).choices.at(0).logprobs.value().content;
    BOOST_REQUIRE(!found.empty());
    return found;
  }
};

// A model on a job's trainer, through the gateway.
struct gateway_driver {
  const platform_driver& at;
  std::string job{};
  std::string model{};
  std::int64_t seq = 0;

  gateway_driver(const platform_driver& platform, std::string job_id, std::int64_t rank = 0)
      : at(platform), job(std::move(job_id)) {
    const auto session = wire::from_json<wire::create_session_reply>(post("create_session", "{}").body).session_id;
    const wire::create_model_request given{.session_id = session,
                                           .model_seq_id = 0,
                                           .base_model = qwen8,
                                           .lora_config = wire::lora_config{.rank = rank, .seed = 1}};
    model = wire::from_json<wire::create_model_reply>(outcome("create_model", wire::to_json(given)).body).model_id;
  }

  raw_reply post(const std::string& name, const std::string& body) const {
    return at.ask("POST", "/training/v1/rlorTrainerJobs/acme/" + job + "/api/v1/" + name, body);
  }
  // Of the future that an operation gives.
  raw_reply outcome(const std::string& name, const std::string& body) const {
    const auto submitted = post(name, body);
    BOOST_REQUIRE_MESSAGE(submitted.status == 200, name << ": " << submitted.status << ' ' << submitted.body);
    const auto id = wire::from_json<wire::submit_reply>(submitted.body).request_id;
    for (;;) {
      auto reply = post("retrieve_future", wire::to_json(wire::retrieve_future_request{id}));
      if (!contains(reply.body, "try_again")) return reply;
    }
  }
  wire::forward_backward_request batch(bool forward_only = false) {
    wire::forward_backward_request request{.model_id = model, .seq_id = ++seq, .forward_only = forward_only};
    request.data.push_back(
        {.model_input = {wire::encoded_text{{72, 101, 108, 108}}},
         .loss_fn_inputs = {{"target_tokens", wire::tensor(wire::array<std::int64_t>{101, 108, 108, 111})},
                            {"weights", wire::tensor(wire::array<float>{0, 1, 1, 1})}}});
    return request;
  }
  void train(double learning_rate) {
    BOOST_REQUIRE(outcome("forward_backward", wire::to_json(batch())).status == 200);
    const wire::optim_step_request step{
        .model_id = model, .seq_id = ++seq, .adam_params = {.learning_rate = learning_rate}};
    const auto done = outcome("optim_step", wire::to_json(step));
    BOOST_REQUIRE_MESSAGE(done.status == 200, done.body);
  }
  // The path that the trainer answers.
  std::string save(const std::string& name, const std::string& type) {
    const auto body = R"({"model_id":")" + model + R"(","path":")" + name + R"(","seq_id":)" + std::to_string(++seq) +
                      R"(,"checkpoint_type":")" + type + R"("})";
    const auto done = outcome("save_weights_for_sampler", body);
    BOOST_REQUIRE_MESSAGE(done.status == 200, done.body);
    return wire::from_json<wire::save_weights_for_sampler_reply>(done.body).path.value_or("");
  }
  std::string save_state(const std::string& name) {
    const wire::save_weights_request given{.model_id = model, .path = name, .seq_id = ++seq};
    const auto done = outcome("save_weights", wire::to_json(given));
    BOOST_REQUIRE_MESSAGE(done.status == 200, done.body);
    return wire::from_json<wire::save_weights_reply>(done.body).path;
  }
};
