// SPDX-License-Identifier: Apache-2.0
// Fireworks' IGPO: PPO's clip with an advantage per token.
// Source: fw-ai/cookbook, training/utils/rl/igpo.py
//
//   L = Σ_i Σ_t m·[ w·max(−r·a, −clip(r, 1 − ε, 1 + ε)·a) + β·(sg(logprob) − ref) ]                       a raw sum
//   r = exp clamp(logprob − old, −20, 20);  w = exp clamp(old − sampler, −20, 20), not capped
//   The KL term has no gradient there: β changes the value only.
//   A sequence without an m above 0.5 is left out.
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs, ref_logprobs (nats), token_advantage, weights.
#pragma once

#include <gradwire/loss/parts/fireworks.hpp>

namespace gradwire::inline v0 {
namespace fireworks {

// The raw sum over tokens, with turn-level advantages spread over tokens.
struct igpo {
  double kl_beta = 0.001;         // β, weight of a KL term that changes the value only, per nat
  offset eps_clip = offset{0.2};  // ε, how far the ratio may leave 1

  constexpr auto operator()() const {
    using namespace fields;
    auto ratio = let<"ratio">(clamped_ratio(logprobs, old_logprobs, 20));
    auto weight = let<"tis">(rho(old_logprobs, sampler_logprobs, clamp_log_ratio{20}));
    auto gain = ppo_clip(ratio, token_advantage, low(eps_clip), high(eps_clip));
    auto drift = let<"drift">(stop_gradient(logprobs - ref_logprobs));
    return objective_with(raw_sum(-(weight * gain)) + allow<lint::no_gradient>(kl_beta * raw_sum(drift)),
                          metric<"kl">(token_mean(drift)),
                          clip_frac(ratio, token_advantage, low(eps_clip), high(eps_clip)), tis_mean(weight),
                          drift_metrics(logprobs, old_logprobs));
  }
};

}  // namespace fireworks
}  // namespace gradwire::inline v0
