// SPDX-License-Identifier: Apache-2.0
// Group-relative advantages.                                    source: verl, verl/trainer/ppo/core_algos.py
//
//   grpo:             A = (s − mean) / (std + ε), std with n − 1; unscaled (Dr.GRPO): A = s − mean
//   grpo_vectorized:  the same with std = √max(var, ε) (the source computes in float32)
//
// A group of one has mean 0 and std 1: A = s/(1 + ε). Equal rewards: exactly 0. Reads per sequence: reward (reward
// units).
#pragma once

#include <gradwire/advantage/parts/group_baseline.hpp>

namespace gradwire::inline v0 {
namespace advantages::verl {

struct grpo {
  double epsilon = 1e-6;                // ε, reward units
  bool norm_adv_by_std_in_grpo = true;  // divide by the group's std

  template <expression S = reward_column>
  constexpr auto operator()(const S& reward = {}) const {
    return standardised_or_raw(reward, std_over_group<1>(reward), epsilon, norm_adv_by_std_in_grpo);
  }
};

struct grpo_vectorized {
  double epsilon = 1e-6;                // ε, added to the std (reward units) and the least variance (reward units²)
  bool norm_adv_by_std_in_grpo = true;  // divide by the group's std

  template <expression S = reward_column>
  constexpr auto operator()(const S& reward = {}) const {
    const auto spread = max(std_over_group<1>(reward), __builtin_sqrt(epsilon));
    return standardised_or_raw(reward, spread, epsilon, norm_adv_by_std_in_grpo);
  }
};

}  // namespace advantages::verl
}  // namespace gradwire::inline v0
