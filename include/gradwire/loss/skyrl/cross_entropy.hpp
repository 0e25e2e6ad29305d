// SPDX-License-Identifier: Apache-2.0
// The policy loss "cross_entropy".              source: SkyRL, skyrl/backends/skyrl_train/utils/ppo_utils.py
//
//   L = −Σ w·logprob          over all tokens of the batch
//
// Divisor: none. Reads per token: logprobs (nats), weights.
#pragma once

#include <gradwire/loss/sft_nll.hpp>

namespace gradwire::inline v0 {
namespace skyrl {

using cross_entropy = sft_nll_sum;

}  // namespace skyrl
}  // namespace gradwire::inline v0
