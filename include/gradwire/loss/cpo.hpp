// SPDX-License-Identifier: Apache-2.0
// Contrastive preference optimisation: no reference, and the chosen side's NLL. source: arXiv:2401.08417
//
//   L = mean over pairs −log σ(β(Σ_t w·logprob_c − Σ_t w·logprob_j)) + α·NLL_c,      NLL_c = −Σ w·logprob / Σ w, chosen
//   side
//
// Divisor: pairs with any w ≠ 0. Reads per token: logprobs (nats), weights. Data: group(chosen(c), rejected(r)).
#pragma once

#include <gradwire/loss/parts/preference.hpp>

namespace gradwire::inline v0 {

struct cpo {
  double beta = 0.1;   // β, inverse temperature, per nat of the summed logprob
  double alpha = 1.0;  // α, weight of the chosen sequences' NLL

  constexpr auto operator()() const {
    const auto reward = beta * of_pair(sum_over_tokens(fields::logprobs));
    return with_rewards(mean_over_pairs(logistic(reward.margin())) + alpha * chosen_nll(), reward);
  }
};

}  // namespace gradwire::inline v0
