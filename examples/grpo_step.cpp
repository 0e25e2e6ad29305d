// SPDX-License-Identifier: Apache-2.0
// GRPO with the embedded model: groups of samples, a reward that anybody can check, advantages from the group, a KL to
// the frozen start. The reward here: how many of the 8 sampled bytes are ASCII letters.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include <gradwire/loopback.hpp>
#include <gradwire/loss/grpo.hpp>
#include <gradwire/trainer.hpp>

using namespace gradwire;
using namespace gradwire::fields;

namespace {
bool is_letter(int token) { return (token >= 'a' && token <= 'z') || (token >= 'A' && token <= 'Z'); }
}  // namespace

int main() {
  auto server = loopback::start();
  auto service = service_client::connect(server.endpoint());
  auto trainer = service.create_training_client({.base_model = "gradwire/tiny", .lora_rank = 8}).result();
  auto reference = service.create_reference_client(trainer).result();  // its weights as they are now, frozen
  const std::vector<int> question{'s', 'a', 'y', ' ', 'a', ':'};

  for (int i = 0; i < 30; ++i) {
    auto weights = trainer.save_weights_for_sampler({.name = "step-" + std::to_string(i)}).result();
    auto sampler = service.create_sampling_client(weights).result();
    auto drawn = sampler.sample(question, {.num_samples = 16, .max_tokens = 8}).result();

    std::vector<double> rewards;
    double mean = 0;
    for (const auto& s : drawn.sequences) {
      rewards.push_back(static_cast<double>(std::count_if(s.tokens.begin(), s.tokens.end(), is_letter)));
      mean += rewards.back() / 16;
    }
    std::vector<datum_of<old_logprobs, advantage>> samples;
    for (std::size_t k = 0; k < 16; ++k) {
      const auto& s = drawn.sequences[k];
      samples.push_back(
          datum{prompt(question) + response(s.tokens), old_logprobs = s.logprobs, advantage = rewards[k] - mean});
    }
    batch rollout{group(samples)};

    auto data = with(ref_logprobs = reference.forward(rollout).result(), rollout);  // one column more, typed
    auto step = trainer.forward_backward_custom(data, grpo{.beta = 0.02});          // a future
    auto optim = trainer.optim_step({.learning_rate = 1e-2});                       // sent once it has succeeded
    optim.result();
    std::printf("step %2d  reward %.3f  loss %+.4f  kl %.4f\n", i, mean, step.result().loss,
                step.result().metric("kl"));
  }
}
