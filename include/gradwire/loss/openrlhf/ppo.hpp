// SPDX-License-Identifier: Apache-2.0
// OpenRLHF's policy loss: PPO with a clipped ratio.              source: OpenRLHF, openrlhf/models/loss.py PolicyLoss
//
//   x = −min(r·A, clip(r, 1−ε_low, 1+ε_high)·A),   r = exp(clamp(logprob − old, ±20))
//
// Its REINFORCE variants (reinforce, rloo, reinforce_baseline, group_norm, dr_grpo) differ in the advantage only.
//
// 1/N over the N unmasked tokens (token_level_loss); …_sample_mean: 1/(B·(|y_i| + 1e-8)), B sequences without
// all-masked.
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>

namespace gradwire::inline v0 {
namespace openrlhf {

constexpr auto ppo_term(offset below, offset above) {
  using namespace fields;
  const auto r = let<"ratio">(clamped_ratio(logprobs, old_logprobs, 20));
  return surrogate(-ppo_clip(r, advantage, low(below), high(above)),
                   clip_metrics(r, advantage, low(below), high(above)), drift_metrics(logprobs, old_logprobs));
}

// PPO with a clipped ratio.
template <auto Reduce = token_mean>
struct ppo {
  offset clip_eps_low{0.2};   // trust region below 1, dimensionless
  offset clip_eps_high{0.2};  // trust region above 1, dimensionless

  constexpr auto operator()() const { return reduced(Reduce, ppo_term(clip_eps_low, clip_eps_high)); }
};
using ppo_sample_mean = ppo<sequence_mean_with_epsilon>;

}  // namespace openrlhf
}  // namespace gradwire::inline v0
