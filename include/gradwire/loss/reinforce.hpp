// SPDX-License-Identifier: Apache-2.0
// REINFORCE: the plain policy gradient.                                   source: Williams 1992, doi:10.1007/BF00992696
//
//   L = − mean_s Σ_t A·logprob
//
// Reads per token: logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>

namespace gradwire::inline v0 {

struct reinforce {
  constexpr auto operator()() const {
    using namespace fields;
    return objective_with(sequence_mean_token_sum(-advantage * logprobs), metric<"entropy_est">(-token_mean(logprobs)));
  }
};

}  // namespace gradwire::inline v0
