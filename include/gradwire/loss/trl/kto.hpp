// SPDX-License-Identifier: Apache-2.0
// Kahneman-Tversky optimisation: single sequences, desirable or not.            source: TRL, trainer/kto_trainer.py
//
//   L = mean over sequences  λ_D·(1 − σ(β(u − z)))  where desirable ≠ 0,  λ_U·(1 − σ(β(z − u)))  elsewhere
//   u = Σ_t w·(logprob − ref_logprob)
//
// Divisor: sequences with any w ≠ 0. Reads per token: logprobs, ref_logprobs (nats), weights; per sequence: desirable.
// The source measures z on completions of other prompts, max(0, mean u): give it as a number, or use gradwire::kto.
#pragma once

#include <gradwire/loss/parts/unpaired.hpp>

namespace gradwire::inline v0 {
namespace trl {

// loss_type kto.                                                                arXiv:2402.01306, eq. 7
struct kto {
  double beta = 0.1;                // β, inverse temperature of the reward, per nat of the summed log ratio
  double desirable_weight = 1.0;    // λ_D, dimensionless
  double undesirable_weight = 1.0;  // λ_U, dimensionless
  double kl = 0.0;                  // z, the point of reference, nats, ≥ 0

  constexpr auto operator()() const {
    const auto u = log_ratio();
    const auto z = constant{kl};
    return unpaired(desirable_weight * kto_loss(u, z, beta), undesirable_weight * kto_loss(z, u, beta), beta * u);
  }
};

// loss_type apo_zero_unpaired: 1 − σ(βu) where desirable, σ(βu) elsewhere.      arXiv:2408.06266, eq. 7
struct kto_apo_zero_unpaired {
  double beta = 0.1;                // β, inverse temperature of the reward, per nat of the summed log ratio
  double desirable_weight = 1.0;    // λ_D, dimensionless
  double undesirable_weight = 1.0;  // λ_U, dimensionless

  constexpr auto operator()() const {
    const auto u = log_ratio();
    return unpaired(desirable_weight * sigmoid(-beta * u), undesirable_weight * sigmoid(beta * u), beta * u);
  }
};

}  // namespace trl
}  // namespace gradwire::inline v0
