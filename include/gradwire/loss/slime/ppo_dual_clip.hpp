// SPDX-License-Identifier: Apache-2.0
// slime's policy loss with dual clip: eps_clip_c is set.                      source: slime, slime/utils/ppo_utils.py
//
//   x = −min(r·A, clip(r, 1−ε_low, 1+ε_high)·A), and where A < 0 at most −c·A;   r = exp(logprob − old)
//
// R: Σ_i (1/|y_i|) Σ_t, the sum over samples of their means, which the trainer divides by the number of samples later;
// …_per_token: Σ_i Σ_t, divided by the number of tokens later (calculate_per_token_loss).
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>

namespace gradwire::inline v0 {
namespace slime {

constexpr auto ppo_dual_clip_term(offset below, offset above, bound c) {
  using namespace fields;
  const auto r = let<"ratio">(ratio(logprobs, old_logprobs));
  return surrogate(-dual_clip(r, advantage, low(below), high(above), high(c)),
                   clip_metrics(r, advantage, low(below), high(above)),
                   dual_clip_frac(r, advantage, low(below), high(c)), drift_metrics(logprobs, old_logprobs));
}

// PPO with dual clip.
template <auto Reduce = sequence_mean_sum>
struct ppo_dual_clip {
  offset eps_clip{0.2};             // trust region below 1, dimensionless
  offset eps_clip_high = eps_clip;  // trust region above 1, dimensionless
  bound eps_clip_c{3.0};            // c, cap of the ratio where A < 0, dimensionless; off by default

  constexpr auto operator()() const { return reduced(Reduce, ppo_dual_clip_term(eps_clip, eps_clip_high, eps_clip_c)); }
};
using ppo_dual_clip_per_token = ppo_dual_clip<token_sum>;

}  // namespace slime
}  // namespace gradwire::inline v0
