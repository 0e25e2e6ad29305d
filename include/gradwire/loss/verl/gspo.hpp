// SPDX-License-Identifier: Apache-2.0
// verl's policy loss "gspo", in the token form.                          source: verl, verl/trainer/ppo/core_algos.py
//
//   x = −min(s·A, clip(s, 1−ε_low, 1+ε_high)·A),   s = sg(exp(min(mean_t (logprob − old), 10)))·exp(logprob −
//   sg(logprob))
//
// Always seq-mean-token-mean: 1/(B·(|y_i| + 1e-8)), B sequences without all-masked ones.
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>
#include <gradwire/loss/parts/verl.hpp>

namespace gradwire::inline v0 {
namespace verl {

constexpr auto gspo_term(offset below, offset above) {
  using namespace fields;
  const auto s = let<"sequence_ratio">(sequence_ratio_as_token(logprobs, old_logprobs, 10));
  return surrogate(-ppo_clip(s, advantage, low(below), high(above)),
                   clip_metrics<masked_mean>(s, advantage, low(below), high(above)),
                   drift_metrics<masked_mean>(logprobs, old_logprobs));
}

// PPO clipping of the geometric mean of a sequence's ratios.
struct gspo {
  offset clip_ratio_low{0.2};   // trust region below 1, dimensionless
  offset clip_ratio_high{0.2};  // trust region above 1, dimensionless

  constexpr auto operator()() const {
    return reduced(sequence_mean_with_epsilon, gspo_term(clip_ratio_low, clip_ratio_high));
  }
};

}  // namespace verl
}  // namespace gradwire::inline v0
