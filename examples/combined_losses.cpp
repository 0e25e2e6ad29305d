// SPDX-License-Identifier: Apache-2.0
// Losses on one batch combine: objectives add and scale, and a column says which formula a sequence is for.
#include <gradwire/loss.hpp>
#include <gradwire/loss/grpo.hpp>
#include <gradwire/loss/parts/policy.hpp>
#include <gradwire/loss/sft_nll.hpp>

#include <cstdio>
#include <string>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

// 1 where the answer is a demonstration, 0 where the policy wrote it
inline constexpr field<"is_sft", per_sequence> is_sft{};

struct demonstrations_and_rollouts {
  double clip = 0.2;  // trust region of the ratio, dimensionless

  constexpr auto operator()() const {
    auto ratio = let<"ratio">(exp(logprobs - old_logprobs));
    auto gain = ppo_clip(ratio, advantage, 1 - clip, 1 + clip);
    return mean_over_sequences(mean_over_tokens(where(is_sft > 0, -logprobs, -gain)));
  }
};

template <class Loss, class Batch>
void show(const char* name, const Loss& loss, const Batch& data) {
  const auto result = evaluate(loss, wrt(logprobs), at(data));
  std::printf("%s: %+.6f\n", name, result.loss);
  for (const auto& [metric, value] : result.metrics) std::printf("  %-14s %.6f\n", std::string(metric).c_str(), value);
  for (std::size_t s = 0; s < data.size(); ++s) {
    std::printf("  dL/dlogprob of sequence %zu:", s);
    for (float slope : result.slope[s]) std::printf(" %+.4f", static_cast<double>(slope));
    std::printf("\n");
  }
}

int main() {
  const std::vector<int> question{11, 12}, written{21, 22, 2}, shown{23, 2};
  batch data{datum{prompt(question) + response(written), logprobs = {-1.0, -0.3, -0.2},
                   ref_logprobs = {-1.1, -0.4, -0.2}, old_logprobs = {-1.3, -0.3, -0.1}, advantage = 0.7, is_sft = 0},
             datum{prompt(question) + response(shown), logprobs = {-2.0, -0.5}, ref_logprobs = {-1.9, -0.5},
                   old_logprobs = {-2.0, -0.5}, advantage = 0.0, is_sft = 1}};

  show("GRPO + 0.1 SFT", grpo{}() + 0.1 * sft_nll{}(), data);
  show("demonstrations beside rollouts", demonstrations_and_rollouts{}, data);
}
