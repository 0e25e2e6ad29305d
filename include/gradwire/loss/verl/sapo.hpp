// SPDX-License-Identifier: Apache-2.0
// verl's policy loss "sapo": a smooth gate instead of a clip.            source: verl, verl/trainer/ppo/core_algos.py
//
//   x = −A·σ(τ·(r − 1))·4/τ,   τ = τ_pos where A > 0, else τ_neg,   r = exp(clamp(logprob − old, ±20))
//
// Always seq-mean-token-mean: 1/(B·(|y_i| + 1e-8)), B sequences without all-masked ones.
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>
#include <gradwire/loss/parts/verl.hpp>

namespace gradwire::inline v0 {
namespace verl {

constexpr auto sapo_term(double tau_positive, double tau_negative) {
  using namespace fields;
  const auto r = let<"ratio">(clamped_ratio(logprobs, old_logprobs, 20));
  return surrogate(-sapo_gate(r, advantage, tau_positive, tau_negative) * advantage,
                   drift_metrics<masked_mean>(logprobs, old_logprobs));
}

// A smooth gate of the ratio instead of a clip.
struct sapo {
  double tau_pos = 1.0;   // τ where A > 0, dimensionless
  double tau_neg = 1.05;  // τ where A ≤ 0, dimensionless

  constexpr auto operator()() const { return reduced(sequence_mean_with_epsilon, sapo_term(tau_pos, tau_neg)); }
};

}  // namespace verl
}  // namespace gradwire::inline v0
