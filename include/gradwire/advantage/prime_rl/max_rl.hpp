// SPDX-License-Identifier: Apache-2.0
// Maximum-likelihood RL: rewards relative to their mean. source: prime-rl, src/prime_rl/orchestrator/algo/max_rl.py,
// arXiv:2602.02710
//
//   A = (s − mean) / mean, and 0 in a group whose mean is ≤ 0
//
// A group of one: 0. Equal rewards: exactly 0. Reads per sequence: reward (reward units, ≥ 0).
#pragma once

#include <gradwire/advantage/parts/group_baseline.hpp>

namespace gradwire::inline v0 {
namespace advantages::prime_rl {

struct max_rl {
  template <expression S = reward_column>
  constexpr auto operator()(const S& reward = {}) const {
    const auto mean = mean_over_group(reward);
    return where(mean > 0, centred(reward) / mean, 0.0);
  }
};

}  // namespace advantages::prime_rl
}  // namespace gradwire::inline v0
