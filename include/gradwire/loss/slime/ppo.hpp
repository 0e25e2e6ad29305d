// SPDX-License-Identifier: Apache-2.0
// slime's policy loss: PPO with a clipped ratio, and with dual clip where eps_clip_c is set.
// Source: slime, slime/utils/ppo_utils.py
//
//   ppo            x = −min(r·A, clip(r, 1−ε_low, 1+ε_high)·A),   r = exp(logprob − old)
//   ppo_dual_clip  the same, and where A < 0 at most −c·A
//
// R: Σ_i (1/|y_i|) Σ_t, the sum over samples of their means, which the trainer divides by the number of samples later;
// …_per_token: Σ_i Σ_t, divided by the number of tokens later (calculate_per_token_loss).
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>

namespace gradwire::inline v0 {
namespace slime {

constexpr auto ppo_term(offset below, offset above) {
  using namespace fields;
  const auto r = let<"ratio">(ratio(logprobs, old_logprobs));
  return surrogate(-ppo_clip(r, advantage, low(below), high(above)),
                   clip_metrics(r, advantage, low(below), high(above)), drift_metrics(logprobs, old_logprobs));
}

// PPO with a clipped ratio.
template <auto Reduce = sequence_mean_sum>
struct ppo {
  offset eps_clip{0.2};             // trust region below 1, dimensionless
  offset eps_clip_high = eps_clip;  // trust region above 1, dimensionless

  constexpr auto operator()() const { return reduced(Reduce, ppo_term(eps_clip, eps_clip_high)); }
};
using ppo_per_token = ppo<token_sum>;

}  // namespace slime
}  // namespace gradwire::inline v0
