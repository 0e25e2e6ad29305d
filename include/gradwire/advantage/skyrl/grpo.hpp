// SPDX-License-Identifier: Apache-2.0
// Group-relative advantages.                              source: SkyRL, skyrl/backends/skyrl_train/utils/ppo_utils.py
//
//   A = (s − mean) / (std + ε), std with n − 1; unscaled: A = s − mean.   A group of one has mean 0, std 1: s/(1 + ε)
//
// Equal rewards: exactly 0. Reads per sequence: reward (reward units).
#pragma once

#include <gradwire/advantage/parts/group_baseline.hpp>

namespace gradwire::inline v0 {
namespace advantages::skyrl {

struct grpo {
  double epsilon = 1e-6;         // ε, reward units
  bool grpo_norm_by_std = true;  // divide by the group's std

  template <expression S = reward_column>
  constexpr auto operator()(const S& reward = {}) const {
    return standardised_or_raw(reward, std_over_group<1>(reward), epsilon, grpo_norm_by_std);
  }
};

}  // namespace advantages::skyrl
}  // namespace gradwire::inline v0
