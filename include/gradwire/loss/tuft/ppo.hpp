// SPDX-License-Identifier: Apache-2.0
// TuFT's ppo.
// Source: agentscope-ai/TuFT, src/tuft/loss_fn/ppo.py
//
//   L = −Σ_i Σ_t m·min(r·A, clip(r, low, high)·A),      r = exp(logprob − old)          a raw sum
//   The thresholds are ratios, not distances from 1; the server's defaults are 0.9 and 1.1: send them, servers differ.
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/tinker/ppo.hpp>

namespace gradwire::inline v0 {
namespace tuft {

// The raw sum over tokens of the clipped objective.
struct ppo {
  bound clip_low_threshold = bound{0.9};   // lowest ratio with a gradient where A < 0
  bound clip_high_threshold = bound{1.1};  // highest ratio with a gradient where A > 0

  constexpr auto operator()() const { return tinker::ppo{clip_low_threshold, clip_high_threshold}(); }
};

}  // namespace tuft
}  // namespace gradwire::inline v0
