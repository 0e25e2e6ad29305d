// SPDX-License-Identifier: Apache-2.0
// Leave one out: the reward against the mean of the group's others.     source: verl, verl/trainer/ppo/core_algos.py,
// arXiv:2402.14740
//
//   A = s·n/(n − 1) − mean·n/(n − 1)
//
// A group of one: rloo keeps the raw reward, rloo_vectorized has 0. Equal rewards: exactly 0. Reads per sequence:
// reward.
#pragma once

#include <gradwire/advantage/parts/group_baseline.hpp>

namespace gradwire::inline v0 {
namespace advantages::verl {

struct rloo {
  template <expression S = reward_column>
  constexpr auto operator()(const S& reward = {}) const {
    return raw_alone(leave_one_out(reward), reward);
  }
};

struct rloo_vectorized {
  template <expression S = reward_column>
  constexpr auto operator()(const S& reward = {}) const {
    return leave_one_out(reward);
  }
};

}  // namespace advantages::verl
}  // namespace gradwire::inline v0
