// SPDX-License-Identifier: Apache-2.0
// PPO with dual clip: bounded where the advantage is negative.                                 source: arXiv:1912.09729
//
//   L = − Σ g / N,   g = min(r·A, clip(r, 1−ε, 1+ε)·A), and where A < 0 at least c·A;   r = exp(logprob − old_logprob)
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>

namespace gradwire::inline v0 {

struct dual_clip_ppo {
  offset clip{0.2};  // ε, trust region of the ratio, dimensionless
  bound cap{3.0};    // c, cap of the ratio where A < 0, dimensionless

  constexpr auto operator()() const {
    using namespace fields;
    auto r = let<"ratio">(ratio(logprobs, old_logprobs));
    auto gain = dual_clip(r, advantage, low(clip), high(clip), high(cap));
    return objective_with(token_mean(-gain), clip_metrics(r, advantage, low(clip), high(clip)),
                          dual_clip_frac(r, advantage, low(clip), high(cap)), drift_metrics(logprobs, old_logprobs));
  }
};

}  // namespace gradwire::inline v0
