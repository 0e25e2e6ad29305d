// SPDX-License-Identifier: Apache-2.0
// SkyRL's policy loss "cispo" with cispo_anchor "rollout": the ratio to the engine that sampled.
// Source: SkyRL, …/skyrl_train/utils/ppo_utils.py
//
//   x = −sg(clip(r, 1−ε_low, 1+ε_high))·A·logprob,   r = exp(clamp(logprob − sampler, ±20))
//
// token_mean: 1/N over the N unmasked tokens; sequence_mean: 1/(B·|y_i|), all-masked sequences counted in B.
//
// Reads per token: logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/skyrl/cispo.hpp>

namespace gradwire::inline v0 {
namespace skyrl {

// CISPO on the ratio to the engine that sampled.
template <auto Reduce = token_mean>
struct cispo_anchor_rollout {
  offset cispo_eps_clip_low{1.0};   // trust region below 1, dimensionless
  offset cispo_eps_clip_high{4.0};  // trust region above 1, dimensionless

  constexpr auto operator()() const {
    return reduced(Reduce, cispo_term(fields::sampler_logprobs, cispo_eps_clip_low, cispo_eps_clip_high));
  }
};
using cispo_anchor_rollout_sequence_mean = cispo_anchor_rollout<sequence_mean_of_all>;

}  // namespace skyrl
}  // namespace gradwire::inline v0
