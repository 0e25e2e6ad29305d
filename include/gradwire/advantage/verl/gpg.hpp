// SPDX-License-Identifier: Apache-2.0
// Group policy gradient: centred rewards, scaled by the share of rewards that are not 0.
//                                                               source: verl, verl/trainer/ppo/core_algos.py,
//                                                               arXiv:2504.02546
//
//   A = α·(s − mean) / f,      α = B / max(1, #(s ≠ 0))          B: sequences of the batch
//
// A group of one has mean 0: A = α·s/f. Equal rewards: exactly 0. Reads per sequence: reward (reward units).
#pragma once

#include <gradwire/advantage/parts/group_baseline.hpp>

namespace gradwire::inline v0 {
namespace advantages::verl {

struct gpg {
  double f_norm = 1.0;  // f, reward units

  template <expression S = reward_column>
  constexpr auto operator()(const S& reward = {}) const {
    const auto rewarded = sum_over_sequences(where(reward == 0, 0.0, 1.0));
    const auto alpha = terminals::sequence_count / max(rewarded, 1.0);
    return alpha * raw_alone(centred(reward), reward) / f_norm;
  }
};

}  // namespace advantages::verl
}  // namespace gradwire::inline v0
