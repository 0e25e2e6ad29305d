// SPDX-License-Identifier: Apache-2.0
// SimPO: averaged logprobs, a margin, no reference.                     source: TRL, experimental/cpo/cpo_trainer.py
//
//   L = mean over pairs [ −(1−ε)·log σ(z) − ε·log σ(−z) ] + α·NLL_c,     z = β(mean_t logprob_c − mean_t logprob_j) − γ
//   NLL_c = −Σ w·logprob / Σ w over all chosen tokens of the batch
//
// Divisor: pairs with any w ≠ 0. Reads per token: logprobs (nats), weights. Data: group(chosen(c), rejected(r)).
// Paper: arXiv:2405.14734. In the source α is CPO's and 1 unless it is set to 0 (with it: CPO-SimPO); here it is 0.
#pragma once

#include <gradwire/loss/parts/preference.hpp>

namespace gradwire::inline v0 {
namespace trl {

// loss_type simpo.
struct simpo {
  double beta = 0.1;             // β, inverse temperature, per nat of the averaged logprob
  double simpo_gamma = 0.5;      // γ, margin that z must reach, dimensionless
  double label_smoothing = 0.0;  // ε, assumed share of swapped labels
  double cpo_alpha = 0.0;        // α, weight of the chosen sequences' NLL

  constexpr auto operator()() const {
    const auto reward = beta * of_pair(mean_over_tokens(fields::logprobs));
    const auto loss = mean_over_pairs(logistic(reward.margin() - simpo_gamma, label_smoothing));
    return with_rewards(loss + cpo_alpha * chosen_nll(), reward);
  }
};

}  // namespace trl
}  // namespace gradwire::inline v0
