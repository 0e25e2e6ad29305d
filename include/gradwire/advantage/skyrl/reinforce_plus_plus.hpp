// SPDX-License-Identifier: Apache-2.0
// REINFORCE++: returns, whitened over the batch's tokens. source: SkyRL, skyrl/backends/skyrl_train/utils/ppo_utils.py,
// arXiv:2501.03262
//
//   A = (G − μ)/√(var + 1e-8),      G_t = R_t + γ·G_{t+1}; a masked token passes nothing to those before it
//   μ, var over the N unmasked tokens, var with N − 1
//
// R: token_reward, plus reward on the last unmasked token.
#pragma once

#include <gradwire/advantage/parts/whiten.hpp>

namespace gradwire::inline v0 {
namespace advantages::skyrl {

struct reinforce_plus_plus {
  using reads = columns<fields::reward>;
  double gamma = 1.0;  // γ, discount per token

  template <class Batch>
  auto operator()(const Batch& data) const {
    const auto reward_left = reward_to_go(data, token_rewards(data), gamma, masked_token::ends);
    return as_column(data, masked_to_zero(data, whitened(data, reward_left, skyrl_whitening)));
  }
};

}  // namespace advantages::skyrl
}  // namespace gradwire::inline v0
