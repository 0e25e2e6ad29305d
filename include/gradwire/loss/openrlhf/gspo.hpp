// SPDX-License-Identifier: Apache-2.0
// OpenRLHF's policy loss of type "gspo": the gradient flows through the sequence's ratio.
// Source: OpenRLHF, openrlhf/models/loss.py PolicyLoss
//
//   L = 1/B Σ_i n/(n + 1e-8)·(−min(s·A, clip(s, 1−ε_low, 1+ε_high)·A)),   s = exp(mean_t (logprob − q)),   n = |y_i|
//   q: old; with the correction for the engine (gspo_with_vllm_is): sampler.   B: sequences without all-masked ones
//
// Reads per token: logprobs, old_logprobs or sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>

namespace gradwire::inline v0 {
namespace openrlhf {

template <expression Behaviour>
constexpr auto gspo_term(const Behaviour& behaviour, offset below, offset above) {
  using fields::advantage, fields::logprobs;
  const auto s = let<"sequence_ratio">(sequence_ratio(logprobs, behaviour));
  return surrogate(-ppo_clip(s, advantage, low(below), high(above)),
                   clip_metrics(s, advantage, low(below), high(above)), drift_metrics(logprobs, behaviour));
}

// PPO clipping of the geometric mean of a sequence's ratios.
struct gspo {
  offset clip_eps_low{0.2};   // trust region below 1, dimensionless
  offset clip_eps_high{0.2};  // trust region above 1, dimensionless

  constexpr auto operator()() const {
    return reduced(sequence_mean_with_epsilon, gspo_term(fields::old_logprobs, clip_eps_low, clip_eps_high));
  }
};
// … of its ratios to the engine that sampled.
struct gspo_with_vllm_is {
  offset clip_eps_low{0.2};   // trust region below 1, dimensionless
  offset clip_eps_high{0.2};  // trust region above 1, dimensionless

  constexpr auto operator()() const {
    return reduced(sequence_mean_with_epsilon, gspo_term(fields::sampler_logprobs, clip_eps_low, clip_eps_high));
  }
};

}  // namespace openrlhf
}  // namespace gradwire::inline v0
