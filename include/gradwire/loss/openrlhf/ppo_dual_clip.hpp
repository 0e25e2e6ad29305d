// SPDX-License-Identifier: Apache-2.0
// OpenRLHF's policy loss with dual clip.                         source: OpenRLHF, openrlhf/models/loss.py PolicyLoss
//
//   x = −min(r·A, clip(r, 1−ε_low, 1+ε_high)·A), and where A < 0 at most −c·A;   r = exp(clamp(logprob − old, ±20))
//
// 1/N over the N unmasked tokens (token_level_loss); …_sample_mean: 1/(B·(|y_i| + 1e-8)), B sequences without
// all-masked.
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>

namespace gradwire::inline v0 {
namespace openrlhf {

constexpr auto ppo_dual_clip_term(offset below, offset above, bound c) {
  using namespace fields;
  const auto r = let<"ratio">(clamped_ratio(logprobs, old_logprobs, 20));
  return surrogate(-gradwire::dual_clip(r, advantage, low(below), high(above), high(c)),
                   clip_metrics(r, advantage, low(below), high(above)),
                   dual_clip_frac(r, advantage, low(below), high(c)), drift_metrics(logprobs, old_logprobs));
}

// PPO with dual clip.
template <auto Reduce = token_mean>
struct ppo_dual_clip {
  offset clip_eps_low{0.2};   // trust region below 1, dimensionless
  offset clip_eps_high{0.2};  // trust region above 1, dimensionless
  bound dual_clip{3.0};       // c, cap of the ratio where A < 0, dimensionless; off by default

  constexpr auto operator()() const {
    return reduced(Reduce, ppo_dual_clip_term(clip_eps_low, clip_eps_high, dual_clip));
  }
};
using ppo_dual_clip_sample_mean = ppo_dual_clip<sequence_mean_with_epsilon>;

}  // namespace openrlhf
}  // namespace gradwire::inline v0
