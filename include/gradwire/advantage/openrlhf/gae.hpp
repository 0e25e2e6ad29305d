// SPDX-License-Identifier: Apache-2.0
// Generalised advantage estimation, whitened; masked tokens have value and reward 0.
//                                               source: OpenRLHF, openrlhf/trainer/ppo_utils/experience_maker.py,
//                                               arXiv:1506.02438
//
//   δ_t = R_t + γ·V_{t+1} − V_t,  A_t = δ_t + γλ·A_{t+1};  then (A − μ)/√max(var, 1e-8), over the N unmasked tokens,
//   var with N (no_std_norm: A − μ);  returns(data): A before whitening, plus V
//
// R: token_reward, plus reward on the last unmasked token. Reads per token: values (reward units), weights.
#pragma once

#include <gradwire/advantage/parts/whiten.hpp>

namespace gradwire::inline v0 {
namespace advantages::openrlhf {

struct gae {
  using reads = columns<fields::reward, fields::values>;
  using breaks_contract = broken<breaks<rule::padding_invariance, "masked tokens are whitened too, as in the source">>;
  double gamma = 1.0;        // γ, discount per token
  double lambd = 1.0;        // λ, 0: one step, 1: the whole return
  bool no_std_norm = false;  // subtract the mean only

  template <class Batch>
  auto operator()(const Batch& data) const {
    const auto a = raw(data);
    return as_column(data, no_std_norm ? less_mean(data, a) : whitened(data, a, openrlhf_whitening));
  }
  template <class Batch>
  auto returns(const Batch& data) const {
    return as_column(data, plus(raw(data), masked_to_zero(data, numbers_of(data, fields::values))));
  }
  template <class Batch>
  auto raw(const Batch& data) const {
    const auto reward = masked_to_zero(data, token_rewards(data));
    return gae_over_all(data, reward, masked_to_zero(data, numbers_of(data, fields::values)), gamma, lambd);
  }
};

}  // namespace advantages::openrlhf
}  // namespace gradwire::inline v0
