// SPDX-License-Identifier: Apache-2.0
// DPO, each pair weighted by how likely the policy itself would write it.       source: TRL, trainer/dpo_trainer.py
//
//   L = mean over pairs W·(−log σ(β(u_c − u_j))),      u = Σ_t w·(logprob − ref_logprob) per sequence
//   W = sg exp(ā_c + ā_j),   ā = mean_t (logprob − log Σ_v π(v)²)                (option use_weighting)
//
// Divisor: pairs with any w ≠ 0. Reads per token: logprobs, ref_logprobs (nats), sum_pi_squared (Σ over the vocabulary
// of the policy's squared probabilities), weights. Data: group(chosen(c), rejected(r)). Paper: arXiv:2406.11827, eq. 2.
#pragma once

#include <gradwire/loss/parts/pair_loss.hpp>

namespace gradwire::inline v0 {
namespace trl {

// loss_type sigmoid with use_weighting; other loss types as its template argument.
template <auto Loss = pair_loss::logistic_margin>
struct dpo_with_wpo {
  double beta = 0.1;  // β, inverse temperature of the reward, per nat of the summed log ratio

  constexpr auto operator()() const {
    const auto u = of_pair(log_ratio());
    const auto aligned = of_pair(mean_over_tokens(fields::logprobs - log(fields::sum_pi_squared)));
    const auto weight = stop_gradient(exp(aligned.chosen + aligned.rejected));
    return with_rewards(mean_over_pairs(weight * Loss(u, u, beta)), beta * u,
                        metric<"weight">(mean_over_pairs(weight)));
  }
};

}  // namespace trl
}  // namespace gradwire::inline v0
