// SPDX-License-Identifier: Apache-2.0
// REINFORCE++: discounted returns.                              source: slime, slime/utils/ppo_utils.py,
// arXiv:2501.03262
//
//   A_t = G_t = R_t + γ·G_{t+1}, R = 0 at masked tokens
//   normalize_advantages: then (A − μ)/√(var + 1e-8), over the N unmasked tokens, var with N − 1
//
// R: token_reward, plus reward on the last unmasked token.
#pragma once

#include <gradwire/advantage/parts/whiten.hpp>

namespace gradwire::inline v0 {
namespace advantages::slime {

struct reinforce_plus_plus {
  using reads = columns<fields::reward>;
  using breaks_contract = broken<breaks<rule::padding_invariance, "masked tokens are whitened too, as in the source">>;
  double gamma = 1.0;                // γ, discount per token
  bool normalize_advantages = true;  // the source demands it for this estimator

  template <class Batch>
  auto operator()(const Batch& data) const {
    const auto reward_left = reward_to_go(data, token_rewards(data), gamma, masked_token::is_zero);
    return as_column(data, normalize_advantages ? whitened(data, reward_left, slime_whitening) : reward_left);
  }
};

}  // namespace advantages::slime
}  // namespace gradwire::inline v0
