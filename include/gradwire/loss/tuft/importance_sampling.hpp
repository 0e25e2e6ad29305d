// SPDX-License-Identifier: Apache-2.0
// TuFT's importance_sampling.
// Source: agentscope-ai/TuFT, src/tuft/loss_fn/importance_sampling.py
//
//   L = −Σ_i Σ_t m·r·A,      r = exp(logprob − old), not clamped          a raw sum
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/tinker/importance_sampling.hpp>

namespace gradwire::inline v0 {
namespace tuft {

// The raw sum over tokens of the ratio times the advantage.
using importance_sampling = tinker::importance_sampling;

}  // namespace tuft
}  // namespace gradwire::inline v0
