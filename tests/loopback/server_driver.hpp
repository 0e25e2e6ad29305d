// SPDX-License-Identifier: Apache-2.0
// A server with a session and a model, driven with the wire's own messages.
#pragma once
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12 is wrong about half-made messages in braces

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <optional>
#include <string>

#include <gradwire/wire/outcome.hpp>

#include "raw_http.hpp"

using namespace gradwire;
using namespace gradwire::wire;

// A server, a session and a model, driven with the wire's own messages.
struct driver {
  loopback::server server;
  raw_client http{server};
  std::string session{}, model{};
  std::int64_t seq = 0;

  explicit driver(loopback::start_options options = {.threads = 1, .debug = true}) : server(std::move(options)) {
    session = ok<create_session_reply>("create_session", to_json(create_session_request{})).session_id;
    model = create(0);
  }
  // The session and model of another driver, whose server has ended since.
  driver(loopback::start_options options, const std::string& old_session, const std::string& old_model,
         std::int64_t old_seq)
      : server(std::move(options)), session(old_session), model(old_model), seq(old_seq) {}

  template <class Reply>
  Reply ok(std::string_view name, const std::string& body) const {
    const auto reply = http.post(name, body);
    BOOST_REQUIRE_MESSAGE(reply.status == 200, name << ": " << reply.status << " " << reply.body);
    return from_json<Reply>(reply.body);
  }

  raw_reply poll(const std::string& id, const char* accept = "application/json") const {
    return http.send("POST", "/api/v1/retrieve_future", to_json(retrieve_future_request{id}),
                     http.key() + "Content-Type: application/json\r\nAccept: " + accept + "\r\n");
  }

  // Polls until there is an outcome.
  raw_reply outcome(std::string_view name, const std::string& body) const {
    const auto id = ok<submit_reply>(name, body).request_id;
    for (;;) {
      auto reply = poll(id);
      if (reply.status != 408 && reply.body.find("try_again") == std::string::npos) return reply;
    }
  }

  template <class Reply>
  Reply result(std::string_view name, const std::string& body) const {
    const auto reply = outcome(name, body);
    BOOST_REQUIRE_MESSAGE(reply.status == 200, name << ": " << reply.status << " " << reply.body);
    return from_json<Reply>(reply.body);
  }

  std::string create(std::int64_t number, std::int64_t rank = 4, std::optional<bool> base_only = {}) const {
    return result<create_model_reply>("create_model",
                                      to_json(create_model_request{.session_id = session,
                                                                   .model_seq_id = number,
                                                                   .base_model = server.model(),
                                                                   .lora_config = lora_config{.rank = rank, .seed = 1},
                                                                   .base_only = base_only,
                                                                   .optimizer_config = optimizer_config{}}))
        .model_id;
  }

  forward_backward_request batch(bool forward_only = false) {
    forward_backward_request request{.model_id = model, .seq_id = ++seq, .forward_only = forward_only};
    request.data.push_back({.model_input = {encoded_text{{72, 101, 108, 108}}},
                            .loss_fn_inputs = {{"target_tokens", tensor(array<std::int64_t>{101, 108, 108, 111})},
                                               {"weights", tensor(array<float>{0, 1, 1, 0.5F})}}});
    request.data.push_back({.model_input = {encoded_text{{7}}, encoded_text{{8}}},
                            .loss_fn_inputs = {{"target_tokens", tensor(array<std::int64_t>{8, 9})}}});
    return request;
  }

  forward_backward_reply run(const forward_backward_request& request) const {
    return result<forward_backward_reply>(request.forward_only ? "forward" : "forward_backward", to_json(request));
  }

  optim_step_reply step(double learning_rate = 1e-2) {
    return result<optim_step_reply>(
        "optim_step", to_json(optim_step_request{
                          .model_id = model, .seq_id = ++seq, .adam_params = {.learning_rate = learning_rate}}));
  }

  std::int64_t executed(const char* what) const {
    const auto reply = http.get("debug/counters");
    const json_document document(reply.body);
    return std::stoll(std::string(document.find(document.root(), what)->text));
  }
};

inline array<float> logprobs(const forward_backward_reply& reply, std::size_t datum) {
  return find(reply.loss_fn_outputs.at(datum), "logprobs")->values<float>();
}

inline bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }
