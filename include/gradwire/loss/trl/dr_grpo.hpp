// SPDX-License-Identifier: Apache-2.0
// TRL's GRPOTrainer, loss_type "dr_grpo".
// Source: huggingface/trl, trl/trainer/grpo_trainer.py _compute_loss
//
//   L = Σ_i Σ_t m·x / (B·L_max),      x = −min( min(r, δ)·A, clip(r, 1 − ε, 1 + ε_high)·A ) + β·k3(logprob, ref)·[r]
//   B: every sequence, all-masked ones too. verl's mode of this kind divides by L_max only up to verl 0.7.0.
//
// Reads per token: logprobs, old_logprobs, ref_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/trl.hpp>

namespace gradwire::inline v0 {
namespace trl {

// The sum divided by the number of sequences times the longest completion allowed.
template <auto Level = token_level>
struct dr_grpo {
  offset epsilon = offset{0.2};         // ε, how far the ratio may fall below 1
  offset epsilon_high = epsilon;        // ε_high, how far it may rise above 1
  bound delta = unbounded;              // δ, cap of the ratio for both signs of the advantage
  double beta = 0.0;                    // β, weight of the KL to the reference, per nat
  bool use_bias_correction_kl = false;  // multiply the KL by the ratio
  double max_completion_length = 512;   // L_max, tokens

  constexpr auto operator()() const {
    auto ratio = let<"ratio">(Level());
    auto gain = two_sided(ratio, fields::advantage, low(epsilon), high(epsilon_high), delta.value);
    auto kl = trl_kl(ratio, use_bias_correction_kl);
    return clipped_objective(sequence_mean_token_sum_per{max_completion_length}, ratio, gain, kl, beta, low(epsilon),
                             high(epsilon_high));
  }
};

// importance_sampling_level "sequence".
using dr_grpo_sequence_level = dr_grpo<sequence_level>;

}  // namespace trl
}  // namespace gradwire::inline v0
