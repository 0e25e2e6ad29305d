// SPDX-License-Identifier: Apache-2.0
// Preference losses that count with swapped labels.                            source: TRL, trainer/dpo_trainer.py
//
//   robust:    L = mean over pairs [−(1−ε)·log σ(z) + ε·log σ(−z)] / (1 − 2ε)
//   exo_pair:  L = mean over pairs σ(z)·(log σ(z) − log(1−ε)) + σ(−z)·(log σ(−z) − log ε)
//   z = β(u_c − u_j),      u = Σ_t w·(logprob − ref_logprob) per sequence
//
// Divisor: pairs with any w ≠ 0. Reads per token: logprobs, ref_logprobs (nats), weights. Data: group(chosen(c),
// rejected(r)).
#pragma once

#include <gradwire/loss/parts/preference.hpp>

namespace gradwire::inline v0 {
namespace trl {

// loss_type robust: unbiased where a share ε of the labels is swapped.          arXiv:2403.00409
struct dpo_robust {
  double beta = 0.1;             // β, inverse temperature of the reward, per nat of the summed log ratio
  double label_smoothing = 0.0;  // ε, share of swapped labels, below ½

  constexpr auto operator()() const {
    const auto reward = beta * of_pair(log_ratio());
    return with_rewards(mean_over_pairs(robust_logistic(reward.margin(), label_smoothing)), reward);
  }
};

// loss_type exo_pair. The source's own default ε = 0 is refused there (the loss would be infinite); 1e-3 is its advice.
// arXiv:2402.00856, eq. 16
struct dpo_exo_pair {
  double beta = 0.1;              // β, inverse temperature of the reward, per nat of the summed log ratio
  double label_smoothing = 1e-3;  // ε, share of swapped labels, above 0

  constexpr auto operator()() const {
    const auto reward = beta * of_pair(log_ratio());
    return with_rewards(mean_over_pairs(exo(reward.margin(), label_smoothing)), reward);
  }
};

}  // namespace trl
}  // namespace gradwire::inline v0
