// SPDX-License-Identifier: Apache-2.0
// Tinker's ppo.
// Source: tinker-cookbook, tutorials/202_loss_functions.py; Tinker's server is closed
//
//   L = −Σ_i Σ_t m·min(r·A, clip(r, low, high)·A),      r = exp(logprob − old)          a raw sum
//   The thresholds are ratios, not distances from 1; the server's defaults are 0.8 and 1.2: send them, servers differ.
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/metrics.hpp>
#include <gradwire/loss/parts/policy.hpp>
#include <gradwire/loss/parts/ratio.hpp>

namespace gradwire::inline v0 {
namespace tinker {

// The raw sum over tokens of the clipped objective.
struct ppo {
  bound clip_low_threshold = bound{0.8};   // lowest ratio with a gradient where A < 0
  bound clip_high_threshold = bound{1.2};  // highest ratio with a gradient where A > 0

  constexpr auto operator()() const {
    using namespace fields;
    auto ratio = let<"ratio">(gradwire::ratio(logprobs, old_logprobs));
    auto gain = ppo_clip(ratio, advantage, low(clip_low_threshold), high(clip_high_threshold));
    return objective_with(token_sum(-gain),
                          clip_frac(ratio, advantage, low(clip_low_threshold), high(clip_high_threshold)),
                          drift_metrics(logprobs, old_logprobs));
  }
};

}  // namespace tinker
}  // namespace gradwire::inline v0
