// SPDX-License-Identifier: Apache-2.0
// TuFT's cross_entropy.
// Source: agentscope-ai/TuFT, src/tuft/loss_fn/cross_entropy.py
//
//   L = −Σ_i Σ_t w·logprob                    a raw sum, weighted by the column weights
//
// Reads per token: logprobs (nats), weights.
#pragma once

#include <gradwire/loss/tinker/cross_entropy.hpp>

namespace gradwire::inline v0 {
namespace tuft {

// The raw weighted sum of negative log-likelihoods.
using cross_entropy = tinker::cross_entropy;

}  // namespace tuft
}  // namespace gradwire::inline v0
