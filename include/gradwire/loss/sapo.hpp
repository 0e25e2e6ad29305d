// SPDX-License-Identifier: Apache-2.0
// Soft Adaptive Policy Optimization: a smooth gate instead of a clip.                          source: arXiv:2511.20347
//
//   L = − mean_s mean_t A·σ(τ·(r − 1))·4/τ,   τ = τ₊ where A > 0, else τ₋,   r = exp(logprob − old_logprob)
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>

namespace gradwire::inline v0 {

struct sapo {
  double tau_positive = 1.0;   // τ₊, dimensionless
  double tau_negative = 1.05;  // τ₋, dimensionless

  constexpr auto operator()() const {
    using namespace fields;
    auto r = let<"ratio">(ratio(logprobs, old_logprobs));
    return objective_with(sequence_mean(-sapo_gate(r, advantage, tau_positive, tau_negative) * advantage),
                          drift_metrics(logprobs, old_logprobs));
  }
};

}  // namespace gradwire::inline v0
