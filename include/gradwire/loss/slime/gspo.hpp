// SPDX-License-Identifier: Apache-2.0
// slime's policy loss for the estimator "gspo": the gradient flows through the sequence's ratio.
// Source: slime, slime/utils/ppo_utils.py
//
//   x = −min(s·A, clip(s, 1−ε_low, 1+ε_high)·A) at each token,   s = exp(mean_t (logprob − old))
//
// R: Σ_i (1/|y_i|) Σ_t, the sum over samples of their means, which the trainer divides by the number of samples later;
// …_per_token: Σ_i Σ_t, divided by the number of tokens later (calculate_per_token_loss).
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>

namespace gradwire::inline v0 {
namespace slime {

constexpr auto gspo_term(offset below, offset above) {
  using namespace fields;
  const auto s = let<"sequence_ratio">(sequence_ratio(logprobs, old_logprobs));
  return surrogate(-ppo_clip(s, advantage, low(below), high(above)),
                   clip_metrics(s, advantage, low(below), high(above)), drift_metrics(logprobs, old_logprobs));
}

// PPO clipping of the geometric mean of a sequence's ratios.
template <auto Reduce = sequence_mean_sum>
struct gspo {
  offset eps_clip{0.2};             // trust region below 1, dimensionless
  offset eps_clip_high = eps_clip;  // trust region above 1, dimensionless

  constexpr auto operator()() const { return reduced(Reduce, gspo_term(eps_clip, eps_clip_high)); }
};
using gspo_per_token = gspo<token_sum>;

}  // namespace slime
}  // namespace gradwire::inline v0
