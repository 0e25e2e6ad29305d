// SPDX-License-Identifier: Apache-2.0
// TRL's loss_type "luspo", corrected for sampling by vLLM in the default mode.
// Source: huggingface/trl, trl/trainer/grpo_trainer.py
//
//   L = 1/B Σ_i |y_i|·v_i·x_i,   x_i as in luspo.hpp;   B: every sequence
//   v = exp Σ_t (old − sampler), and 0 outside [clip_min, clip_max]
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/trl.hpp>

namespace gradwire::inline v0 {
namespace trl {

// The product of a sequence's ρ weighs it, and 0 outside the bounds.
struct luspo_with_sequence_mask {
  offset epsilon = offset{0.2};                          // ε, how far the ratio may fall below 1
  offset epsilon_high = epsilon;                         // ε_high, how far it may rise above 1
  bound delta = unbounded;                               // δ, cap of the ratio for both signs of the advantage
  bound vllm_importance_sampling_clip_min = bound{0};    // of the product; 0: none
  bound vllm_importance_sampling_clip_max = bound{3.0};  // of the product

  constexpr auto operator()() const {
    using namespace fields;
    auto ratio = let<"sequence_ratio">(sequence_level());
    auto v = let<"correction">(sequence_mask(vllm_importance_sampling_clip_min, vllm_importance_sampling_clip_max));
    auto gain = two_sided(ratio, advantage, low(epsilon), high(epsilon_high), delta.value);
    return objective_with(sequence_mean_token_sum_of_all(-kept(v > 0, gain * v)),
                          clip_region(ratio, low(epsilon), high(epsilon_high)), tis_mean(v),
                          drift_metrics(logprobs, old_logprobs), mismatch_metrics(old_logprobs, sampler_logprobs));
  }
};

}  // namespace trl
}  // namespace gradwire::inline v0
