// SPDX-License-Identifier: Apache-2.0
// Group-relative advantages.                            source: open-instruct, open_instruct/data_loader.py,
// advantage_normalization_type
//
//   standard:  A = (s − mean) / (std + 1e-8), std with n (numpy)
//   centered:  A = s − mean
//
// A group of one: 0. Equal rewards: exactly 0. Reads per sequence: reward (reward units).
#pragma once

#include <gradwire/advantage/parts/group_baseline.hpp>

namespace gradwire::inline v0 {
namespace advantages::open_instruct {

struct standard {
  template <expression S = reward_column>
  constexpr auto operator()(const S& reward = {}) const {
    return standardised(reward, std_over_group<0>(reward), 1e-8);
  }
};

struct centered {
  template <expression S = reward_column>
  constexpr auto operator()(const S& reward = {}) const {
    return centred(reward);
  }
};

}  // namespace advantages::open_instruct
}  // namespace gradwire::inline v0
