// SPDX-License-Identifier: Apache-2.0
// On-policy RL with the optimal baseline: rewards averaged by length.   source: verl, verl/trainer/ppo/core_algos.py,
// arXiv:2505.23585
//
//   A = s − Σ_j L_j·s_j / Σ_j L_j          over the group, L = unmasked tokens
//
// A group of one has the baseline 0: A = s. Equal rewards: exactly 0. Reads per sequence: reward; per token: weights.
#pragma once

#include <gradwire/advantage/parts/group_baseline.hpp>

namespace gradwire::inline v0 {
namespace advantages::verl {

struct opo {
  template <expression S = reward_column>
  constexpr auto operator()(const S& reward = {}) const {
    const auto c = centred(reward);  // so that equal rewards give exactly 0
    const auto baseline = divide_or_zero(sum_over_group(response_length * c), sum_over_group(response_length));
    return raw_alone(c - baseline, reward);
  }
};

}  // namespace advantages::verl
}  // namespace gradwire::inline v0
