// SPDX-License-Identifier: Apache-2.0
// TRL's loss_type "sapo", corrected for sampling by vLLM in the default mode.
// Source: huggingface/trl, trl/trainer/grpo_trainer.py
//
//   L = 1/B Σ_i 1/|y_i| Σ_t m·x,   x = −v·A·σ(τ·(r − 1))·4/τ + β·k3(logprob, ref)·[r], as in sapo.hpp
//   v = exp Σ_t (old − sampler), and 0 outside [clip_min, clip_max];   B: every sequence
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs, ref_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/trl.hpp>

namespace gradwire::inline v0 {
namespace trl {

// The product of a sequence's ρ weighs it, and 0 outside the bounds.
struct sapo_with_sequence_mask {
  double sapo_temperature_pos = 1.0;                     // τ where the advantage is positive
  double sapo_temperature_neg = 1.05;                    // τ elsewhere
  double beta = 0.0;                                     // β, weight of the KL to the reference, per nat
  bool use_bias_correction_kl = false;                   // multiply the KL by the ratio
  bound vllm_importance_sampling_clip_min = bound{0};    // of the product; 0: none
  bound vllm_importance_sampling_clip_max = bound{3.0};  // of the product

  constexpr auto operator()() const {
    using namespace fields;
    auto ratio = let<"ratio">(token_level());
    auto v = let<"correction">(sequence_mask(vllm_importance_sampling_clip_min, vllm_importance_sampling_clip_max));
    auto gain = sapo_gate(ratio, advantage, sapo_temperature_pos, sapo_temperature_neg) * advantage;
    auto kl = trl_kl(ratio, use_bias_correction_kl);
    return objective_with(sequence_mean_of_all(weighted_kl(beta, kl) - kept(v > 0, gain * v)),
                          metric<"kl">(token_mean(kl)), tis_mean(v), drift_metrics(logprobs, old_logprobs),
                          mismatch_metrics(old_logprobs, sampler_logprobs));
  }
};

}  // namespace trl
}  // namespace gradwire::inline v0
