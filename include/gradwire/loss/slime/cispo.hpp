// SPDX-License-Identifier: Apache-2.0
// slime's policy loss for the estimator "cispo": the clipped ratio weighs the policy gradient.
// Source: slime, slime/utils/ppo_utils.py
//
//   x = −sg(clip(r, 1−ε_low, 1+ε_high))·A·logprob,   r = exp(logprob − old)
//
// R: Σ_i (1/|y_i|) Σ_t, the sum over samples of their means, which the trainer divides by the number of samples later;
// …_per_token: Σ_i Σ_t, divided by the number of tokens later (calculate_per_token_loss).
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>

namespace gradwire::inline v0 {
namespace slime {

constexpr auto cispo_term(offset below, offset above) {
  using namespace fields;
  const auto r = let<"ratio">(ratio(logprobs, old_logprobs));
  return surrogate(-cispo_weight(r, low(below), high(above)) * advantage * logprobs,
                   out_of_band_frac(r, low(below), high(above)), drift_metrics(logprobs, old_logprobs));
}

// The clipped ratio weighs the policy gradient.
template <auto Reduce = sequence_mean_sum>
struct cispo {
  offset eps_clip{0.2};             // trust region below 1, dimensionless
  offset eps_clip_high = eps_clip;  // trust region above 1, dimensionless

  constexpr auto operator()() const { return reduced(Reduce, cispo_term(eps_clip, eps_clip_high)); }
};
using cispo_per_token = cispo<token_sum>;

}  // namespace slime
}  // namespace gradwire::inline v0
