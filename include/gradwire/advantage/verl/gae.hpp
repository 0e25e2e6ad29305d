// SPDX-License-Identifier: Apache-2.0
// Generalised advantage estimation, whitened; masked (observation) tokens are stepped over.
//                                                               source: verl, verl/trainer/ppo/core_algos.py,
//                                                               arXiv:1506.02438
//
//   δ_t = R_t + γ·V' − V_t,  A_t = δ_t + γλ·A',  V', A' those of the next unmasked token; then (A − μ)/√(var + 1e-8)
//   returns(data): A before whitening, plus V
//
// R: token_reward, plus reward on the last unmasked token. Reads per token: values (reward units), weights.
#pragma once

#include <gradwire/advantage/parts/whiten.hpp>

namespace gradwire::inline v0 {
namespace advantages::verl {

struct gae {
  using reads = columns<fields::reward, fields::values>;
  using breaks_contract = broken<breaks<rule::padding_invariance, "masked tokens are whitened too, as in the source">>;
  double gamma = 1.0;  // γ, discount per token
  double lam = 1.0;    // λ, 0: one step, 1: the whole return

  template <class Batch>
  auto operator()(const Batch& data) const {
    return as_column(data, whitened(data, raw(data), verl_whitening));
  }
  template <class Batch>
  auto returns(const Batch& data) const {
    return as_column(data, plus(raw(data), numbers_of(data, fields::values)));
  }
  template <class Batch>
  auto raw(const Batch& data) const {
    return gae_skipping_masked(data, token_rewards(data), numbers_of(data, fields::values), gamma, lam);
  }
};

}  // namespace advantages::verl
}  // namespace gradwire::inline v0
