// SPDX-License-Identifier: Apache-2.0
// Fireworks' GRPO.
// Source: fw-ai/cookbook, training/utils/rl/grpo.py, tis.py
//
//   L = Σ_i Σ_t m·[ w·max(−r·A, −clip(r, 1 − ε, 1 + ε_h)·A) + β·(e^(ref − logprob) − (ref − logprob) − 1) ]
//   a raw sum; r = exp clamp(logprob − old, −20, 20);  w = min(ρ, cap), detached, and not on the KL
//   ρ = exp clamp(old − sampler, −20, 20);   +tis_sequence: ρ = exp mean_t clamp(old − sampler, −20, 20), m > 0.5
//   w is 1 where m ≤ 0.5, and a sequence without an m above that is left out.
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs, ref_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/fireworks.hpp>

namespace gradwire::inline v0 {
namespace fireworks {

// The raw sum over tokens, weighted by token against train-inference mismatch.
template <auto Tis = token_tis>
struct grpo {
  double kl_beta = 0.001;              // β, weight of the KL to the reference, per nat
  offset eps_clip = offset{0.2};       // ε, how far the ratio may fall below 1
  offset eps_clip_high = eps_clip;     // ε_h, how far it may rise above 1
  bound tis_cap = bound{5.0};          // cap of ρ
  bound icepop_threshold = unbounded;  // tokens with ρ outside [1/this, this] get 0 (token weights only)

  constexpr auto operator()() const {
    using namespace fields;
    auto ratio = let<"ratio">(clamped_ratio(logprobs, old_logprobs, 20));
    auto weight = let<"tis">(Tis(tis_cap.value, icepop_threshold.value));
    auto gain = ppo_clip(ratio, advantage, low(eps_clip), high(eps_clip_high));
    auto kl = let<"kl">(k3(logprobs, ref_logprobs));
    return objective_with(raw_sum(weighted_kl(kl_beta, kl) - weight * gain), metric<"kl">(token_mean(kl)),
                          clip_frac(ratio, advantage, low(eps_clip), high(eps_clip_high)),
                          out_of_band_frac(ratio, low(eps_clip), high(eps_clip_high)),
                          run_metrics<Tis>(weight, tis_cap.value));
  }
};

// The same, weighted by sequence (the geometric mean of ρ).
using grpo_with_tis_sequence = grpo<sequence_tis>;

}  // namespace fireworks
}  // namespace gradwire::inline v0
