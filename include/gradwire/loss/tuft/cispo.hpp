// SPDX-License-Identifier: Apache-2.0
// TuFT's cispo.
// Source: agentscope-ai/TuFT, src/tuft/loss_fn/cispo.py
//
//   L = −Σ_i Σ_t m·sg(clip(r, low, high))·A·logprob,      r = exp(logprob − old)          a raw sum
//   The thresholds are ratios, not distances from 1; the server's defaults are 0.9 and 1.1: send them, servers differ.
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/tinker/cispo.hpp>

namespace gradwire::inline v0 {
namespace tuft {

// The raw sum over tokens of REINFORCE under a clipped, detached ratio.
struct cispo {
  bound clip_low_threshold = bound{0.9};   // lowest weight
  bound clip_high_threshold = bound{1.1};  // highest weight

  constexpr auto operator()() const { return tinker::cispo{clip_low_threshold, clip_high_threshold}(); }
};

}  // namespace tuft
}  // namespace gradwire::inline v0
