// SPDX-License-Identifier: Apache-2.0
// Contrastive preference optimisation: no reference, and the chosen side's NLL. source: TRL,
// experimental/cpo/cpo_trainer.py
//
//   L = mean over pairs f(z) + α·NLL_c,      NLL_c = −Σ w·logprob / Σ w over all chosen tokens of the batch
//   cpo:        z = β(Σ logprob_c − Σ logprob_j),  f(z) = −(1−ε)·log σ(z) − ε·log σ(−z)
//   cpo_hinge:  f(z) = max(0, 1 − z)
//
// Divisor: pairs with any w ≠ 0. Reads per token: logprobs (nats), weights. Data: group(chosen(c), rejected(r)).
#pragma once

#include <gradwire/loss/parts/preference.hpp>

namespace gradwire::inline v0 {
namespace trl {

// loss_type sigmoid.                                                            arXiv:2401.08417
struct cpo {
  double beta = 0.1;             // β, inverse temperature, per nat of the summed logprob
  double label_smoothing = 0.0;  // ε, assumed share of swapped labels
  double cpo_alpha = 1.0;        // α, weight of the chosen sequences' NLL

  constexpr auto operator()() const {
    const auto reward = beta * of_pair(sum_over_tokens(fields::logprobs));
    return with_rewards(mean_over_pairs(logistic(reward.margin(), label_smoothing)) + cpo_alpha * chosen_nll(), reward);
  }
};

// loss_type hinge.
struct cpo_hinge {
  double beta = 0.1;       // β, inverse temperature, per nat of the summed logprob
  double cpo_alpha = 1.0;  // α, weight of the chosen sequences' NLL

  constexpr auto operator()() const {
    const auto reward = beta * of_pair(sum_over_tokens(fields::logprobs));
    return with_rewards(mean_over_pairs(max(1 - reward.margin(), 0.0)) + cpo_alpha * chosen_nll(), reward);
  }
};

}  // namespace trl
}  // namespace gradwire::inline v0
