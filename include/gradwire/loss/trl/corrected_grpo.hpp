// SPDX-License-Identifier: Apache-2.0
// TRL's clipped losses, corrected for sampling by vLLM.
// Source: huggingface/trl, trl/trainer/grpo_trainer.py
//
//   x = −keep·v·min( min(r, δ)·A, clip(r, 1 − ε, 1 + ε_high)·A ) + β·k3(logprob, ref)·[r]
//   v, from ρ = exp(old − sampler), between clip_min and clip_max:
//     token_truncate     ρ clamped             sequence_truncate  exp Σ_t log ρ clamped: the product, not a mean
//     token_mask         ρ, 0 outside          sequence_mask      the product, 0 outside (TRL's default)
//   keep = not (A < 0 and mean_t (sampler − logprob) > off_policy_mask_threshold)
//   Presets: grpo_vllm.hpp (mean over sequences), dapo_vllm.hpp (token mean)
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs, ref_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/trl.hpp>

namespace gradwire::inline v0 {
namespace trl {

template <auto Correction, auto Reduce, auto Level = token_level>
struct corrected_grpo {
  offset epsilon = offset{0.2};                          // ε, how far the ratio may fall below 1
  offset epsilon_high = epsilon;                         // ε_high, how far it may rise above 1
  bound delta = unbounded;                               // δ, cap of the ratio for both signs of the advantage
  double beta = 0.0;                                     // β, weight of the KL to the reference, per nat
  bool use_bias_correction_kl = false;                   // multiply the KL by the ratio
  bound vllm_importance_sampling_clip_min = bound{0};    // of ρ or its product; 0: none
  bound vllm_importance_sampling_clip_max = bound{3.0};  // of ρ or its product
  double off_policy_mask_threshold = no_limit;           // nats per token; infinite: drop nothing

  constexpr auto operator()() const {
    using namespace fields;
    auto ratio = let<"ratio">(Level());
    auto v = let<"correction">(Correction(vllm_importance_sampling_clip_min, vllm_importance_sampling_clip_max));
    auto keep = opsm(advantage, logprobs, sampler_logprobs, off_policy_mask_threshold);
    auto gain = two_sided(ratio, advantage, low(epsilon), high(epsilon_high), delta.value);
    return clipped_objective(Reduce, ratio, kept(keep && v > 0, gain * v), trl_kl(ratio, use_bias_correction_kl), beta,
                             low(epsilon), high(epsilon_high), tis_mean(v),
                             mismatch_metrics(old_logprobs, sampler_logprobs));
  }
};

}  // namespace trl
}  // namespace gradwire::inline v0
