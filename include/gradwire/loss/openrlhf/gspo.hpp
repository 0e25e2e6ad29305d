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

// PPO clipping of the geometric mean of a sequence's ratios.
template <auto Behaviour = fields::old_logprobs>
struct gspo {
  offset clip_eps_low{0.2};   // trust region below 1, dimensionless
  offset clip_eps_high{0.2};  // trust region above 1, dimensionless

  constexpr auto operator()() const {
    using fields::advantage, fields::logprobs;
    const auto s = let<"sequence_ratio">(sequence_ratio(logprobs, Behaviour));
    const auto gain = ppo_clip(s, advantage, low(clip_eps_low), high(clip_eps_high));
    return objective_with(sequence_mean_with_epsilon(-gain),
                          clip_metrics(s, advantage, low(clip_eps_low), high(clip_eps_high)),
                          drift_metrics(logprobs, Behaviour));
  }
};
// … of its ratios to the engine that sampled.
using gspo_with_vllm_is = gspo<fields::sampler_logprobs>;

}  // namespace openrlhf
}  // namespace gradwire::inline v0
