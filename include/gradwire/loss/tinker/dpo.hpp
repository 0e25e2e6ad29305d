// SPDX-License-Identifier: Apache-2.0
// Direct preference optimisation.                               source: tinker-cookbook, preference/train_dpo.py
//
//   L = mean over pairs −log σ(β(u_c − u_j)),      u = Σ_t w·(logprob − ref_logprob)
//
// Divisor: pairs with any w ≠ 0. Reads per token: logprobs, ref_logprobs (nats), weights. Data: group(chosen(c),
// rejected(r)).
#pragma once

#include <gradwire/loss/parts/preference.hpp>

namespace gradwire::inline v0 {
namespace tinker {

struct dpo {
  double dpo_beta = 0.1;  // β, inverse temperature of the reward, per nat of the summed log ratio

  constexpr auto operator()() const {
    const auto reward = dpo_beta * of_pair(log_ratio());
    return with_rewards(mean_over_pairs(logistic(reward.margin())), reward);
  }
};

}  // namespace tinker
}  // namespace gradwire::inline v0
