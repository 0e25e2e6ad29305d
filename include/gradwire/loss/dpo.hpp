// SPDX-License-Identifier: Apache-2.0
// Direct Preference Optimization.                                              source: arXiv:2305.18290
//
//   L = mean over pairs [ −(1−ε)·log σ(z) − ε·log σ(−z) ],   z = β·(u_chosen − u_rejected),   u = Σ_t w·(logprob − ref)
//
// Divisor: pairs with any w ≠ 0. Reads per token: logprobs, ref_logprobs (nats), weights. Data: group(chosen(c),
// rejected(r)).
#pragma once

#include <gradwire/loss/parts/preference.hpp>

namespace gradwire::inline v0 {

struct dpo {
  double beta = 0.1;             // β, inverse temperature of the implicit reward, per nat of the summed log ratio
  double label_smoothing = 0.0;  // ε, assumed share of swapped labels

  constexpr auto operator()() const {
    const auto reward = beta * of_pair(log_ratio());
    return with_rewards(mean_over_pairs(logistic(reward.margin(), label_smoothing)), reward);
  }
};

}  // namespace gradwire::inline v0
