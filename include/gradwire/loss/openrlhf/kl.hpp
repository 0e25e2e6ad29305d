// SPDX-License-Identifier: Apache-2.0
// OpenRLHF's KL terms to the reference, alone; d = logprob − ref, in nats; the source computes them in float32.
// Source: OpenRLHF, openrlhf/models/utils.py
//
//   kl_k1 clamp(d, ±10)   kl_k2 clamp(½d², ±10)   kl_k3 clamp(e^(−d) + d − 1, ±10)
//
// 1/N over the N unmasked tokens; …_sum: Σ_i Σ_t; …_sample_mean: 1/(B·(|y_i| + 1e-8)), B sequences without all-masked
// ones.
//
// Reads per token: logprobs, ref_logprobs (nats), weights.
#pragma once

#include <gradwire/loss/parts/kl.hpp>
#include <gradwire/loss/parts/reduction.hpp>

namespace gradwire::inline v0 {
namespace openrlhf {

template <auto Term, auto Reduce = token_mean>
struct kl_loss {
  constexpr auto operator()() const { return Reduce(Term(fields::logprobs, fields::ref_logprobs)); }
};
inline constexpr auto k1_term = [](auto p, auto q) { return allow<lint::k1_as_loss>(k1(p, q, clamp_value{10})); };
inline constexpr auto k2_term = [](auto p, auto q) { return k2(p, q, clamp_value{10}); };
inline constexpr auto k3_term = [](auto p, auto q) { return k3(p, q, clamp_value{10}); };
using kl_k1 = kl_loss<k1_term>;
using kl_k2 = kl_loss<k2_term>;
using kl_k3 = kl_loss<k3_term>;
using kl_k1_sum = kl_loss<k1_term, token_sum>;
using kl_k2_sum = kl_loss<k2_term, token_sum>;
using kl_k3_sum = kl_loss<k3_term, token_sum>;
using kl_k1_sample_mean = kl_loss<k1_term, sequence_mean_with_epsilon>;
using kl_k2_sample_mean = kl_loss<k2_term, sequence_mean_with_epsilon>;
using kl_k3_sample_mean = kl_loss<k3_term, sequence_mean_with_epsilon>;

}  // namespace openrlhf
}  // namespace gradwire::inline v0
