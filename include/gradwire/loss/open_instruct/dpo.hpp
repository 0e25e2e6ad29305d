// SPDX-License-Identifier: Apache-2.0
// Direct preference optimisation, over sums and over averages.          source: open-instruct,
// open_instruct/dpo_utils.py
//
//   L = mean over pairs −(1−ε)·log σ(z) − ε·log σ(−z)
//   dpo:       z = β(u_c − u_j),             u = Σ_t w·(logprob − ref_logprob)
//   dpo_norm:  z = β(ū_c − ū_j),             ū = u / Σ w
//
// One β = 5 for both, tuned for averages: dpo usually wants 0.1. Divisor: pairs with any w ≠ 0. Reads per token:
// logprobs, ref_logprobs (nats), weights. Data: group(chosen(c), rejected(r)).
#pragma once

#include <gradwire/loss/parts/preference.hpp>

namespace gradwire::inline v0 {
namespace open_instruct {

struct dpo {
  double beta = 5.0;             // β, inverse temperature of the reward, per nat of the summed log ratio
  double label_smoothing = 0.0;  // ε, assumed share of swapped labels

  constexpr auto operator()() const {
    const auto reward = beta * of_pair(log_ratio());
    return with_rewards(mean_over_pairs(logistic(reward.margin(), label_smoothing)), reward);
  }
};

// The default loss_type.                                                        arXiv:2411.15124
struct dpo_norm {
  double beta = 5.0;             // β, inverse temperature of the reward, per nat of the averaged log ratio
  double label_smoothing = 0.0;  // ε, assumed share of swapped labels

  constexpr auto operator()() const {
    const auto reward = beta * mean_per_token(of_pair(log_ratio()));
    return with_rewards(mean_over_pairs(logistic(reward.margin(), label_smoothing)), reward);
  }
};

}  // namespace open_instruct
}  // namespace gradwire::inline v0
