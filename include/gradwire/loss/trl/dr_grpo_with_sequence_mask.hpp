// SPDX-License-Identifier: Apache-2.0
// TRL's loss_type "dr_grpo", corrected for sampling by vLLM in the default mode.
// Source: huggingface/trl, trl/trainer/grpo_trainer.py
//
//   L = Σ_i Σ_t m·x / (B·L_max),   B: every sequence;   x and v (sequence_mask) as in trl/corrected_grpo.hpp
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs, ref_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/trl.hpp>

namespace gradwire::inline v0 {
namespace trl {

// The product of a sequence's ρ weighs it, and 0 outside the bounds.
struct dr_grpo_with_sequence_mask {
  offset epsilon = offset{0.2};                          // ε, how far the ratio may fall below 1
  offset epsilon_high = epsilon;                         // ε_high, how far it may rise above 1
  bound delta = unbounded;                               // δ, cap of the ratio for both signs of the advantage
  double beta = 0.0;                                     // β, weight of the KL to the reference, per nat
  bool use_bias_correction_kl = false;                   // multiply the KL by the ratio
  bound vllm_importance_sampling_clip_min = bound{0};    // of the product; 0: none
  bound vllm_importance_sampling_clip_max = bound{3.0};  // of the product
  double max_completion_length = 512;                    // L_max, tokens

  constexpr auto operator()() const {
    auto ratio = let<"ratio">(token_level());
    auto v = let<"correction">(sequence_mask(vllm_importance_sampling_clip_min, vllm_importance_sampling_clip_max));
    auto gain = two_sided(ratio, fields::advantage, low(epsilon), high(epsilon_high), delta.value);
    return clipped_objective(sequence_mean_token_sum_per{max_completion_length}, ratio, kept(v > 0, gain * v),
                             trl_kl(ratio, use_bias_correction_kl), beta, low(epsilon), high(epsilon_high), tis_mean(v),
                             mismatch_metrics(fields::old_logprobs, fields::sampler_logprobs));
  }
};

}  // namespace trl
}  // namespace gradwire::inline v0
