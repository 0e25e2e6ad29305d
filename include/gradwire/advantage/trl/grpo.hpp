// SPDX-License-Identifier: Apache-2.0
// Group-relative advantages.                                            source: TRL, trainer/grpo_trainer.py,
// scale_rewards
//
//   grpo:           A = (s − mean of the group) / (std of the group + 1e-4)        scale_rewards group
//   grpo_by_batch:  A = (s − mean of the group) / (std of the batch + 1e-4)        scale_rewards batch
//   grpo_unscaled:  A = s − mean of the group                                      scale_rewards none
//
// std with n − 1. A group of one: 0. Equal rewards: exactly 0. Reads per sequence: reward (reward units).
#pragma once

#include <gradwire/advantage/parts/group_baseline.hpp>

namespace gradwire::inline v0 {
namespace advantages::trl {

inline constexpr auto by_group = [](const auto& s) { return std_over_group<1>(s) + 1e-4; };
inline constexpr auto by_batch = [](const auto& s) { return std_over_sequences<1>(s) + 1e-4; };
inline constexpr auto by_nothing = [](const auto&) { return constant{1}; };

template <auto Scale = by_group>
struct grpo {
  template <expression S = reward_column>
  constexpr auto operator()(const S& reward = {}) const {
    return centred(reward) / Scale(reward);
  }
};
using grpo_by_batch = grpo<by_batch>;
using grpo_unscaled = grpo<by_nothing>;

}  // namespace advantages::trl
}  // namespace gradwire::inline v0
