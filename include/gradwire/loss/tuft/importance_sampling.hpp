// SPDX-License-Identifier: Apache-2.0
// TuFT's importance_sampling.
// Source: agentscope-ai/TuFT, src/tuft/loss_fn/importance_sampling.py
//
//   L = −Σ_i Σ_t m·r·A,      r = exp(logprob − old), not clamped          a raw sum
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/metrics.hpp>
#include <gradwire/loss/parts/policy.hpp>
#include <gradwire/loss/parts/ratio.hpp>

namespace gradwire::inline v0 {
namespace tuft {

// The raw sum over tokens of the ratio times the advantage.
struct importance_sampling {
  constexpr auto operator()() const {
    using namespace fields;
    auto ratio = let<"ratio">(gradwire::ratio(logprobs, old_logprobs));
    return objective_with(token_sum(-ratio_gain(ratio, advantage)), drift_metrics(logprobs, old_logprobs));
  }
};

}  // namespace tuft
}  // namespace gradwire::inline v0
