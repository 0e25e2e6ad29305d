// SPDX-License-Identifier: Apache-2.0
// Group-relative advantages.                                            source: fw-ai/cookbook, training/utils/data.py
// compute_advantages
//
//   A = (s − mean) / (std + ε), std with n − 1 and 1 where it is below ε          (the source computes in float32)
//
// A group of one, which the source drops as NaN: 0. Equal rewards: exactly 0. Reads per sequence: reward (reward
// units).
#pragma once

#include <gradwire/advantage/parts/group_baseline.hpp>

namespace gradwire::inline v0 {
namespace advantages::fireworks {

struct grpo {
  double eps = 1e-8;  // ε, reward units

  template <expression S = reward_column>
  constexpr auto operator()(const S& reward = {}) const {
    const auto spread = std_over_group<1>(reward);
    return standardised(reward, where(spread < eps, 1.0, spread), eps);
  }
};

}  // namespace advantages::fireworks
}  // namespace gradwire::inline v0
