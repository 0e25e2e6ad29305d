// SPDX-License-Identifier: Apache-2.0
// Simple preference optimisation: averaged logprobs and a margin, no reference. source: arXiv:2405.14734
//
//   L = mean over pairs −log σ(β(ℓ̄_c − ℓ̄_j) − γ),      ℓ̄ = mean_t logprob
//
// Divisor: pairs with any w ≠ 0. Reads per token: logprobs (nats), weights. Data: group(chosen(c), rejected(r)).
#pragma once

#include <gradwire/loss/parts/preference.hpp>

namespace gradwire::inline v0 {

struct simpo {
  double beta = 2.0;           // β, inverse temperature, per nat of the averaged logprob
  double target_margin = 1.0;  // γ, what the reward margin should exceed, dimensionless

  constexpr auto operator()() const {
    const auto reward = beta * of_pair(mean_over_tokens(fields::logprobs));
    return with_rewards(mean_over_pairs(logistic(reward.margin() - target_margin)), reward);
  }
};

}  // namespace gradwire::inline v0
