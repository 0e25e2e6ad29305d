// SPDX-License-Identifier: Apache-2.0
// Direct preference optimisation against a reference that finds all responses equally likely.
//                                                       source: open-instruct, open_instruct/dpo_utils.py,
//                                                       reference_free
//
//   L = mean over pairs −(1−ε)·log σ(z) − ε·log σ(−z),      z = β(Σ_t w·logprob_c − Σ_t w·logprob_j)
//
// Divisor: pairs with any w ≠ 0. Reads per token: logprobs (nats), weights. Data: group(chosen(c), rejected(r)).
#pragma once

#include <gradwire/loss/parts/preference.hpp>

namespace gradwire::inline v0 {
namespace open_instruct {

struct dpo_reference_free {
  double beta = 5.0;             // β, inverse temperature, per nat of the summed logprob
  double label_smoothing = 0.0;  // ε, assumed share of swapped labels

  constexpr auto operator()() const {
    const auto reward = beta * of_pair(sum_over_tokens(fields::logprobs));
    return with_rewards(mean_over_pairs(logistic(reward.margin(), label_smoothing)), reward);
  }
};

}  // namespace open_instruct
}  // namespace gradwire::inline v0
