// SPDX-License-Identifier: Apache-2.0
// verl's bypass mode, loss_type "ppo_clip": "vanilla" on the ratio to the engine.
// Source: verl, verl/trainer/ppo/core_algos.py
//
//   x as in vanilla.hpp with r = exp(clamp(logprob − sampler, ±20)); 1/N over the N unmasked tokens
//
// Reads per token: logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/verl.hpp>

namespace gradwire::inline v0 {
namespace verl {

// PPO with dual clip of the ratio to the engine that sampled.
struct bypass_ppo_clip {
  offset clip_ratio_low{0.2};   // trust region below 1, dimensionless
  offset clip_ratio_high{0.2};  // trust region above 1, dimensionless
  bound clip_ratio_c{3.0};      // c, cap of the ratio where A < 0, dimensionless

  constexpr auto operator()() const {
    return reduced(token_mean, clipped(fields::sampler_logprobs, clip_ratio_low, clip_ratio_high, clip_ratio_c));
  }
};

}  // namespace verl
}  // namespace gradwire::inline v0
