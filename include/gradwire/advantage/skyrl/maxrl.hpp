// SPDX-License-Identifier: Apache-2.0
// Maximum-likelihood RL: rewards relative to their mean. source: SkyRL, skyrl/backends/skyrl_train/utils/ppo_utils.py,
// arXiv:2602.02710
//
//   A = (s − mean) / (mean + ε)
//
// A group of one: s. Equal rewards: exactly 0. Reads per sequence: reward (reward units).
#pragma once

#include <gradwire/advantage/parts/group_baseline.hpp>

namespace gradwire::inline v0 {
namespace advantages::skyrl {

struct maxrl {
  double epsilon = 1e-6;  // ε, reward units

  template <expression S = reward_column>
  constexpr auto operator()(const S& reward = {}) const {
    return raw_alone(centred(reward) / (mean_over_group(reward) + epsilon), reward);
  }
};

}  // namespace advantages::skyrl
}  // namespace gradwire::inline v0
