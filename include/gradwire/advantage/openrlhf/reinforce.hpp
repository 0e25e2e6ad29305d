// SPDX-License-Identifier: Apache-2.0
// REINFORCE: discounted returns, whitened.      source: OpenRLHF, openrlhf/trainer/ppo_utils/experience_maker.py
//
//   A = (G − μ)/√max(var, 1e-8),      G_t = R_t + γ·G_{t+1}, R = 0 at masked tokens; μ, var over the N unmasked tokens
//   (no_std_norm: A = G − μ)
//
// R: token_reward, plus reward on the last unmasked token.
#pragma once

#include <gradwire/advantage/parts/whiten.hpp>

namespace gradwire::inline v0 {
namespace advantages::openrlhf {

struct reinforce {
  using reads = columns<fields::reward>;
  using breaks_contract = broken<breaks<rule::padding_invariance, "masked tokens are whitened too, as in the source">>;
  double gamma = 1.0;        // γ, discount per token
  bool no_std_norm = false;  // subtract the mean only

  template <class Batch>
  auto operator()(const Batch& data) const {
    const auto reward_left = reward_to_go(data, token_rewards(data), gamma, masked_token::is_zero);
    return as_column(data,
                     no_std_norm ? less_mean(data, reward_left) : whitened(data, reward_left, openrlhf_whitening));
  }
};

}  // namespace advantages::openrlhf
}  // namespace gradwire::inline v0
