// SPDX-License-Identifier: Apache-2.0
// A server that divides the gradients of a step by its number of sequences, as SkyRL's JAX backend does.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "spy.hpp"

namespace spying {

// The embedded trainer, whose batches are answered here in the shape in which SkyRL's JAX backend answers them.
struct divider {
  bench b;
  std::vector<wire::forward_backward_request> sent;  // all of forward_backward, forwards too
  std::vector<std::string> order;                    // "forward", "backward", "optim_step"
  std::function<fault(const exchange&, http_response&)> also;
  std::optional<service_client> service;
  training_client trainer;

  divider() {
    b.net->on_request([this](const exchange& e, http_response& reply) { return answer(e, reply); });
    service = service_client::connect_through(b.net, b.server.endpoint(), quick());
    trainer = service->create_training_client({.base_model = b.server.model()}).result();
  }

  static http_response json(std::string body, int status = 200) {
    return {status, {{"Content-Type", "application/json"}}, std::move(body)};
  }

  fault answer(const exchange& e, http_response& reply) {
    if (e.target.ends_with("/client/config")) {
      reply = json("{}");
      return fault::answer;
    }
    if (e.target.ends_with("/optim_step")) order.push_back("optim_step");
    const bool is_batch = e.target.ends_with("/forward_backward");
    if (is_batch) {
      sent.push_back(wire::from_protobuf<wire::forward_backward_request>(e.body));
      order.push_back(sent.back().forward_only ? "forward" : "backward");
    }
    if (also) {
      if (const fault what = also(e, reply); what != fault::none) return what;
    }
    if (is_batch) {
      const std::string id = "sky" + std::to_string(sent.size() - 1);
      reply = json(R"({"future_id":")" + id + R"(","status":"pending","request_id":")" + id + "\"}");
      return fault::answer;
    }
    const std::size_t at = e.body.find("\"sky");
    if (at == std::string::npos) return fault::none;
    wire::forward_backward_reply output;
    output.loss_fn_output_type = "scalar";
    for (const auto& d : sent[std::stoul(e.body.substr(at + 4))].data) {
      const std::size_t n = wire::find(d.loss_fn_inputs, "target_tokens")->size();
      output.loss_fn_outputs.push_back({{"logprobs", wire::tensor(std::vector<float>(n, -2.0f))},
                                        {"elementwise_loss", wire::tensor(std::vector<float>(n, 0.0f))}});
    }
    reply = {200, {{"Content-Type", "application/x-protobuf"}}, wire::to_protobuf(output)};
    return fault::answer;
  }

  std::vector<wire::forward_backward_request> backwards() const {
    std::vector<wire::forward_backward_request> found;
    for (const auto& each : sent)
      if (!each.forward_only) found.push_back(each);
    return found;
  }
  std::size_t steps() const { return static_cast<std::size_t>(std::count(order.begin(), order.end(), "optim_step")); }
};

}  // namespace spying
