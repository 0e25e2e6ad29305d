// SPDX-License-Identifier: Apache-2.0
// Group-relative advantages.                            source: prime-rl, src/prime_rl/orchestrator/algo/grpo.py
//
//   A = s − mean
//
// A group of one: 0. Equal rewards: exactly 0. Reads per sequence: reward (reward units).
#pragma once

#include <gradwire/advantage/parts/group_baseline.hpp>

namespace gradwire::inline v0 {
namespace advantages::prime_rl {

struct grpo {
  template <expression S = reward_column>
  constexpr auto operator()(const S& reward = {}) const {
    return centred(reward);
  }
};

}  // namespace advantages::prime_rl
}  // namespace gradwire::inline v0
