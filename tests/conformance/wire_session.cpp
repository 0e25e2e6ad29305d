// SPDX-License-Identifier: Apache-2.0
// One training session through the public client, call after call: what wire_session.py does with the Python SDK.
//   wire_session MODEL [--newer]            (server and key: TINKER_BASE_URL, TINKER_API_KEY)
// --newer: also what tinker 0.25.0 has not.
#include "questions.hpp"

#include <gradwire/trainer.hpp>

#include <cstdio>
#include <exception>
#include <string_view>

using namespace gradwire;
using namespace gradwire::fields;
using questions::bytes;
using questions::question;

namespace {

auto rollout(std::string_view asked, std::string_view answered, double value) {
  return datum{prompt(bytes(asked)) + response(bytes(answered)),
               old_logprobs = std::vector<float>(answered.size(), -1.5F), advantage = value};
}

// Σ w·(l²/2 − l): the gradient is one rounding of w·(l − 1), in float32 here as in the other client.
template <class Batch>
double squares(const Batch& data, ragged_view<const float> logprobs, ragged_view<float> gradients) {
  double value = 0;
  for (std::size_t s = 0; s < data.size(); ++s) {
    const float* weight = data.data(weights) + data.shape().offset[s];
    for (std::size_t t = 0; t < logprobs[s].size(); ++t) {
      const float l = logprobs[s][t], w = weight[t];
      value += static_cast<double>(w * (0.5F * l * l - l));
      gradients[s][t] = w * (l - 1);
    }
  }
  return value;
}

void session(const std::string& model, bool newer) {
  const batch supervised{question("2+2=", "four."), question("sky?", "blue, usually.")};
  const batch rollouts{rollout("2+2=", "four.", 0.5), rollout("sky?", "blue.", -0.25)};

  auto service = service_client::connect();
  service.capabilities().result();
  auto trainer = service.create_training_client({.base_model = model, .lora_rank = 8, .seed = 7}).result();
  trainer.forward(supervised).result();
  trainer.forward_backward(supervised, server_loss::cross_entropy{}).result();
  trainer.optim_step({.learning_rate = 0.01}).result();
  trainer.forward_backward(rollouts, server_loss::ppo{.clip_low_threshold = 0.5, .clip_high_threshold = 1.5}).result();
  trainer.forward_backward_custom(supervised, [](const auto& data, auto l, auto g) { return squares(data, l, g); })
      .result();
  trainer.optim_step({.learning_rate = 0.01, .weight_decay = 0.125, .grad_clip_norm = 2}).result();
  const auto state = trainer.save_state("compared").result();
  const auto sampled = trainer.save_weights_for_sampler({.name = "compared-sampler"}).result();
  auto sampler = service.create_sampling_client(sampled).result();
  const auto drawn =
      sampler.sample(bytes("2+2="), {.num_samples = 2, .max_tokens = 4, .temperature = 0.5, .seed = 3}).result();
  trainer.save_weights_and_get_sampling_client().result();
  if (newer) {
    const auto asked = bytes("2+2=");
    trainer
        .forward_backward(batch{datum{prompt(asked) + response(drawn.sequences[0])},
                                datum{prompt(asked) + response(drawn.sequences[1])}},
                          server_loss::cross_entropy{})
        .result();
    trainer.save_weights_and_get_sampling_client(sampling_client_kind::inflight).result();
  }
  trainer.load_state(state.path).result();
  trainer.forward(supervised).result();
  service.finish_session().result();
}

}  // namespace

int main(int count, char** arguments) {
  const bool newer = count == 3 && std::string_view(arguments[2]) == "--newer";
  if (count != 2 && !newer) {
    std::fprintf(stderr, "usage: wire_session MODEL [--newer]\n");
    return 2;
  }
  try {
    session(arguments[1], newer);
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "%s\n", problem.what());
    return 1;
  }
}
