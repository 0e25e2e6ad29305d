// SPDX-License-Identifier: Apache-2.0
// Kahneman-Tversky optimisation: single sequences, desirable or not.           source: arXiv:2402.01306
//
//   L = mean over sequences  λ_D·(1 − σ(β(u − z)))  where desirable ≠ 0,  λ_U·(1 − σ(β(z − u)))  elsewhere
//   u = Σ_t w·(logprob − ref),      z = max(0, mean over sequences sg(u))
//
// The paper estimates z, the KL, on completions of other prompts; here it is the batch's own, detached. trl::kto takes
// a number. Divisor: sequences with any w ≠ 0. Reads per token: logprobs, ref_logprobs (nats), weights; per sequence:
// desirable.
#pragma once

#include <gradwire/loss/parts/unpaired.hpp>

namespace gradwire::inline v0 {

struct kto {
  double beta = 0.1;                // β, inverse temperature of the reward, per nat of the summed log ratio
  double desirable_weight = 1.0;    // λ_D, dimensionless
  double undesirable_weight = 1.0;  // λ_U, dimensionless

  constexpr auto operator()() const {
    const auto u = log_ratio();
    const auto z = stop_gradient(max(mean_over_sequences(u), 0.0));
    return unpaired(desirable_weight * kto_loss(u, z, beta), undesirable_weight * kto_loss(z, u, beta), beta * u,
                    metric<"kl">(z));
  }
};

}  // namespace gradwire::inline v0
