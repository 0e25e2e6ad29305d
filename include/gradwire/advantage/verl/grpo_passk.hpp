// SPDX-License-Identifier: Apache-2.0
// Pass@k: only a group's best sample has an advantage.          source: verl, verl/trainer/ppo/core_algos.py,
// arXiv:2503.19595
//
//   A = (s_max − s_second) / (std + ε) for the best sample, std with n − 1; 0 for all others, and for all where two are
//   best
//
// A group of one, which the source refuses: 0. Reads per sequence: reward (reward units).
#pragma once

#include <gradwire/advantage/parts/group_baseline.hpp>

namespace gradwire::inline v0 {
namespace advantages::verl {

struct grpo_passk {
  double epsilon = 1e-6;                // ε, reward units
  bool norm_adv_by_std_in_grpo = true;  // divide by the group's std

  template <expression S = reward_column>
  constexpr auto operator()(const S& reward = {}) const {
    const auto lead = max_over_group(reward) - second_largest_over_group(reward);
    const auto divisor = std_over_group<1>(reward) + epsilon;
    const auto scaled = lead / where(constant{norm_adv_by_std_in_grpo ? 1.0 : 0.0} == 1, divisor, 1.0);
    return where(reward == max_over_group(reward) && lead > 0, scaled, 0.0);
  }
};

}  // namespace advantages::verl
}  // namespace gradwire::inline v0
