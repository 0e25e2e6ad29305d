// SPDX-License-Identifier: Apache-2.0
// REINFORCE++: returns, whitened over the batch's tokens.       source: verl, verl/trainer/ppo/core_algos.py,
// arXiv:2501.03262
//
//   reinforce_plus_plus:           A = whiten(G),  G_t = R_t + γ·G_{t+1}; a masked token passes nothing on
//   reinforce_plus_plus_baseline:  A = whiten(s − mean of the group); a group of one has mean 0
//   whiten(x) = (x − μ)/√(var + 1e-8), var with N − 1, means over N + 1e-8 unmasked tokens
//
// R: token_reward, plus reward on the last unmasked token. Equal rewards: the baseline form is exactly 0.
#pragma once

#include <gradwire/advantage/parts/group_baseline.hpp>
#include <gradwire/advantage/parts/whiten.hpp>

namespace gradwire::inline v0 {
namespace advantages::verl {

struct reinforce_plus_plus {
  using reads = columns<fields::reward>;
  double gamma = 1.0;  // γ, discount per token

  template <class Batch>
  auto operator()(const Batch& data) const {
    const auto reward_left = reward_to_go(data, token_rewards(data), gamma, masked_token::ends);
    return as_column(data, masked_to_zero(data, whitened(data, reward_left, verl_whitening)));
  }
};

struct reinforce_plus_plus_baseline {
  template <expression S = reward_column>
  constexpr auto operator()(const S& reward = {}) const {
    return whitened(raw_alone(centred(reward), reward), verl_whitening);
  }
};

}  // namespace advantages::verl
}  // namespace gradwire::inline v0
