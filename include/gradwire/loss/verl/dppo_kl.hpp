// SPDX-License-Identifier: Apache-2.0
// verl's policy loss "dppo_kl", arXiv:2602.04879.                        source: verl, verl/trainer/ppo/core_algos.py
//
//   x = −sg(min(r, c))·A·logprob, r = exp(clamp(logprob − old, ±20)), and 0 where
//   (A > 0, p > q and D > δ_high) or (A < 0, p < q and D > δ_low),   p = e^logprob, q = e^old,
//   D = q·(old − logprob) + (1 − q)·log((1 − q + 1e-8)/(1 − p + 1e-8))
//
// The thresholds go by the names that the source gives them.
//
// loss_agg_mode (N tokens; B sequences without all-masked ones): token-mean 1/N, seq-mean-token-sum 1/B,
// seq-mean-token-mean 1/(B·(|y_i| + 1e-8)); in a header of its own seq-mean-token-sum-norm 1/(B·L).
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>
#include <gradwire/loss/parts/verl.hpp>

namespace gradwire::inline v0 {
namespace verl {

constexpr auto dppo_kl_term(double below, double above, bound cap) {
  using namespace fields;
  return divergence_term(kl_keep(logprobs, old_logprobs, advantage, below, above), cap);
}

// The capped ratio as weight, without tokens that have moved too far in the direction of their advantage.
template <auto Reduce = token_mean>
struct dppo_kl {
  double clip_ratio_low = 0.2;   // δ where A < 0, of the binary KL, nats
  double clip_ratio_high = 0.2;  // δ where A > 0, of the binary KL, nats
  bound clip_ratio_c{3.0};       // c, cap of the ratio, dimensionless

  constexpr auto operator()() const {
    return reduced(Reduce, dppo_kl_term(clip_ratio_low, clip_ratio_high, clip_ratio_c));
  }
};
using dppo_kl_seq_mean_token_sum = dppo_kl<sequence_mean_token_sum>;
using dppo_kl_seq_mean_token_mean = dppo_kl<sequence_mean_with_epsilon>;

}  // namespace verl
}  // namespace gradwire::inline v0
