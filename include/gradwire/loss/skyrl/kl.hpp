// SPDX-License-Identifier: Apache-2.0
// SkyRL's KL terms to the reference, alone; d = logprob − ref, in nats.
// Source: SkyRL, …/skyrl_train/utils/ppo_utils.py compute_approx_kl
//
//   kl_k1 d   kl_abs |d|   kl_k2 ½d²   kl_k3 clamp(e^k − k − 1, ±10), k = clamp(−d, ±20)
//
// 1/B Σ_i (1/|y_i|) Σ_t, all-masked sequences counted in B, as the source adds them to any policy loss; …_sum: Σ_i Σ_t.
// The mask counts once here; the source applies it twice (in the term and in its mean), so fractional masks differ: m²
// there.
//
// Reads per token: logprobs, ref_logprobs (nats), weights.
#pragma once

#include <gradwire/loss/parts/kl.hpp>
#include <gradwire/loss/parts/reduction.hpp>

namespace gradwire::inline v0 {
namespace skyrl {

template <auto Term, auto Reduce = sequence_mean_of_all>
struct kl_loss {
  constexpr auto operator()() const { return Reduce(Term(fields::logprobs, fields::ref_logprobs)); }
};
inline constexpr auto k1_term = [](auto p, auto q) { return allow<lint::k1_as_loss>(k1(p, q)); };
inline constexpr auto abs_term = [](auto p, auto q) { return absolute_log_ratio(p, q); };
inline constexpr auto k2_term = [](auto p, auto q) { return k2(p, q); };
inline constexpr auto k3_term = [](auto p, auto q) { return k3(p, q, clamp_log_ratio{20}, clamp_value{10}); };
using kl_k1 = kl_loss<k1_term>;
using kl_abs = kl_loss<abs_term>;
using kl_k2 = kl_loss<k2_term>;
using kl_k3 = kl_loss<k3_term>;
using kl_k1_sum = kl_loss<k1_term, token_sum>;
using kl_abs_sum = kl_loss<abs_term, token_sum>;
using kl_k2_sum = kl_loss<k2_term, token_sum>;
using kl_k3_sum = kl_loss<k3_term, token_sum>;

}  // namespace skyrl
}  // namespace gradwire::inline v0
