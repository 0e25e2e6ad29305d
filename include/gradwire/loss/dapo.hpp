// SPDX-License-Identifier: Apache-2.0
// Decoupled clip and dynamic sampling: PPO with a wider upper clip, averaged over tokens.      source: arXiv:2503.14476
//
//   L = − Σ min(r·A, clip(r, 1−ε_low, 1+ε_high)·A) / N,   r = exp(logprob − old_logprob), N tokens of the batch
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>

namespace gradwire::inline v0 {

struct dapo {
  offset clip_low{0.2};    // ε_low, trust region below 1, dimensionless
  offset clip_high{0.28};  // ε_high, trust region above 1, dimensionless

  constexpr auto operator()() const {
    using namespace fields;
    auto r = let<"ratio">(ratio(logprobs, old_logprobs));
    return objective_with(token_mean(-ppo_clip(r, advantage, low(clip_low), high(clip_high))),
                          clip_metrics(r, advantage, low(clip_low), high(clip_high)),
                          drift_metrics(logprobs, old_logprobs));
  }
};

}  // namespace gradwire::inline v0
