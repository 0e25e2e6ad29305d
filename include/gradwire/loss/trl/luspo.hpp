// SPDX-License-Identifier: Apache-2.0
// TRL's GRPOTrainer, loss_type "luspo": the sequence ratio, weighted by length.
// Source: huggingface/trl, trl/trainer/grpo_trainer.py _compute_loss
//
//   L = 1/B Σ_i |y_i|·x_i,      x_i = −min( min(s, δ)·A, clip(s, 1 − ε, 1 + ε_high)·A )
//   s = exp(mean_t (logprob − old));   B: every sequence, all-masked ones too
//   This is β = 0: with a KL, TRL's mean runs over padded positions as well.
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/trl.hpp>

namespace gradwire::inline v0 {
namespace trl {

// With importance_sampling_level "sequence", as its paper has it.
struct luspo {
  offset epsilon = offset{0.2};   // ε, how far the ratio may fall below 1
  offset epsilon_high = epsilon;  // ε_high, how far it may rise above 1
  bound delta = unbounded;        // δ, cap of the ratio for both signs of the advantage

  constexpr auto operator()() const {
    auto ratio = let<"sequence_ratio">(sequence_level());
    auto gain = two_sided(ratio, fields::advantage, low(epsilon), high(epsilon_high), delta.value);
    return objective_with(sequence_mean_token_sum_of_all(-gain), clip_region(ratio, low(epsilon), high(epsilon_high)),
                          drift_metrics(fields::logprobs, fields::old_logprobs));
  }
};

}  // namespace trl
}  // namespace gradwire::inline v0
