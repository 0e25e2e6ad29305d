// SPDX-License-Identifier: Apache-2.0
// DiscoPOP, the loss that a language model found: logistic and exponential, blended. source: TRL,
// trainer/dpo_trainer.py
//
//   L = mean over pairs −log σ(z)·(1 − σ(z/τ)) + e^(−z)·σ(z/τ),      z = β(u_c − u_j), u = Σ_t w·(logprob −
//   ref_logprob)
//
// Divisor: pairs with any w ≠ 0. Reads per token: logprobs, ref_logprobs (nats), weights. Data: group(chosen(c),
// rejected(r)). Paper: arXiv:2406.08414, eq. 5.
#pragma once

#include <gradwire/loss/parts/preference.hpp>

namespace gradwire::inline v0 {
namespace trl {

// loss_type discopop.
struct dpo_discopop {
  double beta = 0.1;           // β, inverse temperature of the reward, per nat of the summed log ratio
  double discopop_tau = 0.05;  // τ, temperature of the blend, reward units

  constexpr auto operator()() const {
    const auto reward = beta * of_pair(log_ratio());
    return with_rewards(mean_over_pairs(discopop(reward.margin(), discopop_tau)), reward);
  }
};

}  // namespace trl
}  // namespace gradwire::inline v0
