// SPDX-License-Identifier: Apache-2.0
// Generalised advantage estimation, whitened; it runs through masked tokens as through any other.
//                                                       source: SkyRL, skyrl/backends/skyrl_train/utils/ppo_utils.py,
//                                                       arXiv:1506.02438
//
//   δ_t = R_t + γ·V_{t+1} − V_t,  A_t = δ_t + γλ·A_{t+1};  then (A − μ)/√(var + 1e-8), over unmasked tokens,
//   var with N − 1;  returns(data): A before whitening, plus V
//
// Values and rewards at masked tokens count: give them values that mean something, 0 behind the response.
// R: token_reward, plus reward on the last unmasked token. Reads per token: values (reward units), weights.
#pragma once

#include <gradwire/advantage/parts/whiten.hpp>

namespace gradwire::inline v0 {
namespace advantages::skyrl {

struct gae {
  using reads = columns<fields::reward, fields::values>;
  using breaks_contract = broken<breaks<rule::mask_isolation, "values and rewards at masked tokens count">,
                                 breaks<rule::padding_invariance, "so do those behind the response">>;
  double gamma = 1.0;  // γ, discount per token
  double lambd = 1.0;  // λ, 0: one step, 1: the whole return

  template <class Batch>
  auto operator()(const Batch& data) const {
    return as_column(data, whitened(data, raw(data), skyrl_whitening));
  }
  template <class Batch>
  auto returns(const Batch& data) const {
    return as_column(data, plus(raw(data), numbers_of(data, fields::values)));
  }
  template <class Batch>
  auto raw(const Batch& data) const {
    return gae_over_all(data, token_rewards(data), numbers_of(data, fields::values), gamma, lambd);
  }
};

}  // namespace advantages::skyrl
}  // namespace gradwire::inline v0
