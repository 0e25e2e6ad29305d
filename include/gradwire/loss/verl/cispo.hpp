// SPDX-License-Identifier: Apache-2.0
// verl's policy loss "cispo": the clipped ratio weighs the policy gradient.
// Source: verl, verl/trainer/ppo/core_algos.py
//
//   x = −sg(clip(r, 1−ε_low, 1+ε_high))·A·logprob,   r = exp(clamp(logprob − old, ±20))
//
// loss_agg_mode (N tokens; B sequences without all-masked ones): token-mean 1/N, seq-mean-token-sum 1/B,
// seq-mean-token-mean 1/(B·(|y_i| + 1e-8)); in a header of its own seq-mean-token-sum-norm, 1/L without B up to verl
// 0.7.0, …_by_batch 1/(B·L) since.
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>
#include <gradwire/loss/parts/verl.hpp>

namespace gradwire::inline v0 {
namespace verl {

constexpr auto cispo_term(offset below, offset above) {
  using namespace fields;
  const auto r = let<"ratio">(clamped_ratio(logprobs, old_logprobs, 20));
  return surrogate(-cispo_weight(r, low(below), high(above)) * advantage * logprobs,
                   out_of_band_frac<masked_mean>(r, low(below), high(above)),
                   drift_metrics<masked_mean>(logprobs, old_logprobs));
}

// The clipped ratio weighs the policy gradient.
template <auto Reduce = token_mean>
struct cispo {
  offset clip_ratio_low{0.2};   // trust region below 1, dimensionless
  offset clip_ratio_high{0.2};  // trust region above 1, dimensionless

  constexpr auto operator()() const { return reduced(Reduce, cispo_term(clip_ratio_low, clip_ratio_high)); }
};
using cispo_seq_mean_token_sum = cispo<sequence_mean_token_sum>;
using cispo_seq_mean_token_mean = cispo<sequence_mean_with_epsilon>;

}  // namespace verl
}  // namespace gradwire::inline v0
