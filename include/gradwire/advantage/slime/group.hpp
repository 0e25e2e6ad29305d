// SPDX-License-Identifier: Apache-2.0
// Group-relative advantages.                                    source: slime, slime/ray/rollout.py
// _post_process_rewards
//
//   grpo:                          A = (s − mean) / (std + 1e-6), std with n − 1; unscaled: A = s − mean
//   reinforce_plus_plus_baseline:  A = s − mean, whitened over the batch's unmasked tokens where normalize_advantages
//   is set
//
// whiten(x) = (x − μ)/√(var + 1e-8), var with N − 1. A group of one, NaN in the source's grpo: 0. Equal rewards:
// exactly 0. Reads per sequence: reward (reward units).
#pragma once

#include <gradwire/advantage/parts/group_baseline.hpp>
#include <gradwire/advantage/parts/whiten.hpp>

namespace gradwire::inline v0 {
namespace advantages::slime {

struct grpo {
  bool grpo_std_normalization = true;  // divide by the group's std

  template <expression S = reward_column>
  constexpr auto operator()(const S& reward = {}) const {
    const auto scaled = constant{grpo_std_normalization ? 1.0 : 0.0} == 1;
    return centred(reward) / where(scaled, std_over_group<1>(reward) + 1e-6, 1.0);
  }
};

struct reinforce_plus_plus_baseline {
  bool normalize_advantages = true;  // the source demands it for this estimator

  template <expression S = reward_column>
  constexpr auto operator()(const S& reward = {}) const {
    const auto white = whitened(centred(reward), slime_whitening);
    return where(constant{normalize_advantages ? 1.0 : 0.0} == 1, white, centred(reward));
  }
};

}  // namespace advantages::slime
}  // namespace gradwire::inline v0
