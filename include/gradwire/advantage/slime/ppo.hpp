// SPDX-License-Identifier: Apache-2.0
// Generalised advantage estimation; it runs through masked tokens as through any other.
//                                                               source: slime, slime/utils/ppo_utils.py,
//                                                               arXiv:1506.02438
//
//   δ_t = R_t + γ·V_{t+1} − V_t,  A_t = δ_t + γλ·A_{t+1}
//   normalize_advantages: then (A − μ)/√(var + 1e-8), over the N unmasked tokens, var with N − 1
//
// R: token_reward, plus reward on the last unmasked token (the source: on the last token). Reads per token: values
// (reward units; they count at masked tokens too), weights.
#pragma once

#include <gradwire/advantage/parts/whiten.hpp>

namespace gradwire::inline v0 {
namespace advantages::slime {

struct ppo {
  using reads = columns<fields::reward, fields::values>;
  using breaks_contract = broken<breaks<rule::mask_isolation, "values and rewards at masked tokens count">,
                                 breaks<rule::padding_invariance, "so do those behind the response">>;
  double gamma = 1.0;                 // γ, discount per token
  double lambd = 1.0;                 // λ, 0: one step, 1: the whole return
  bool normalize_advantages = false;  // to mean 0 and std 1 over the batch's unmasked tokens

  template <class Batch>
  auto operator()(const Batch& data) const {
    const auto a = gae_over_all(data, token_rewards(data), numbers_of(data, fields::values), gamma, lambd);
    return as_column(data, normalize_advantages ? whitened(data, a, slime_whitening) : a);
  }
};

}  // namespace advantages::slime
}  // namespace gradwire::inline v0
