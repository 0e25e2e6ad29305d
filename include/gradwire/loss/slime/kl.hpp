// SPDX-License-Identifier: Apache-2.0
// slime's KL terms to the reference, alone; d = logprob − ref, in nats; the source computes them in float32.
// Source: slime, slime/utils/ppo_utils.py
//
//   kl_k1 d   kl_k2 ½d²   kl_k3 e^(−d) + d − 1   kl_low_var clamp(kl_k3, ±10)
//   …_unbiased: times r = exp(logprob − old), before the clamp (use_unbiased_kl)
//
// Σ_i (1/|y_i|) Σ_t; …_per_token: Σ_i Σ_t.
//
// Reads per token: logprobs, ref_logprobs, with a ratio old_logprobs (nats), weights.
#pragma once

#include <gradwire/loss/parts/kl.hpp>
#include <gradwire/loss/parts/reduction.hpp>

namespace gradwire::inline v0 {
namespace slime {

template <auto Term, auto Reduce = sequence_mean_sum>
struct kl_loss {
  static constexpr auto term() { return Term(fields::logprobs, fields::ref_logprobs); }
  constexpr auto operator()() const { return Reduce(term()); }
};
inline constexpr auto k1_term = [](auto p, auto q) { return allow<lint::k1_as_loss>(k1(p, q)); };
inline constexpr auto k2_term = [](auto p, auto q) { return k2(p, q); };
inline constexpr auto k3_term = [](auto p, auto q) { return k3(p, q); };
inline constexpr auto low_var_term = [](auto p, auto q) { return k3(p, q, clamp_value{10}); };
using kl_k1 = kl_loss<k1_term>;
using kl_k2 = kl_loss<k2_term>;
using kl_k3 = kl_loss<k3_term>;
using kl_low_var = kl_loss<low_var_term>;
using kl_k1_per_token = kl_loss<k1_term, token_sum>;
using kl_k2_per_token = kl_loss<k2_term, token_sum>;
using kl_k3_per_token = kl_loss<k3_term, token_sum>;
using kl_low_var_per_token = kl_loss<low_var_term, token_sum>;

}  // namespace slime
}  // namespace gradwire::inline v0
