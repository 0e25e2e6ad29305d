// SPDX-License-Identifier: Apache-2.0
// Proximal Policy Optimization: the clipped surrogate.                                         source: arXiv:1707.06347
//
//   L = − Σ min(r·A, clip(r, 1−ε, 1+ε)·A) / N,   r = exp(logprob − old_logprob), N tokens of the batch
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>

namespace gradwire::inline v0 {

struct ppo {
  offset clip{0.2};  // ε, trust region of the ratio, dimensionless

  constexpr auto operator()() const {
    using namespace fields;
    auto r = let<"ratio">(ratio(logprobs, old_logprobs));
    return objective_with(token_mean(-ppo_clip(r, advantage, low(clip), high(clip))),
                          clip_metrics(r, advantage, low(clip), high(clip)), drift_metrics(logprobs, old_logprobs));
  }
};

}  // namespace gradwire::inline v0
