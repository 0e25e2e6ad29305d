// SPDX-License-Identifier: Apache-2.0
// Leave one out.                                        source: SkyRL, skyrl/backends/skyrl_train/utils/ppo_utils.py,
// arXiv:2402.14740
//
//   A = (s − mean)·n/(n − 1)
//
// A group of one: 0. Equal rewards: exactly 0. Reads per sequence: reward (reward units).
#pragma once

#include <gradwire/advantage/parts/group_baseline.hpp>

namespace gradwire::inline v0 {
namespace advantages::skyrl {

struct rloo {
  template <expression S = reward_column>
  constexpr auto operator()(const S& reward = {}) const {
    return leave_one_out(reward);
  }
};

}  // namespace advantages::skyrl
}  // namespace gradwire::inline v0
