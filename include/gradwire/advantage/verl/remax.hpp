// SPDX-License-Identifier: Apache-2.0
// ReMax: the return against the reward of the greedy rollout.   source: verl, verl/trainer/ppo/core_algos.py,
// arXiv:2310.10505
//
//   A_t = G_t − b,      G_t = R_t + G_{t+1} over unmasked tokens (b: only on those)
//
// R: token_reward, plus reward on the last unmasked token. Reads per sequence: reward_baseline (b, reward units).
#pragma once

#include <gradwire/advantage/parts/walk.hpp>

namespace gradwire::inline v0 {
namespace advantages::verl {

struct remax {
  using reads = columns<fields::reward, fields::reward_baseline>;
  template <class Batch>
  auto operator()(const Batch& data) const {
    auto result = reward_to_go(data, token_rewards(data), 1, masked_token::is_zero);
    backwards(data, [&](std::size_t s, std::size_t i, std::size_t, bool masked) {
      if (!masked) result[i] -= static_cast<double>(data.data(fields::reward_baseline)[s]);
    });
    return as_column(data, result);
  }
};

}  // namespace advantages::verl
}  // namespace gradwire::inline v0
