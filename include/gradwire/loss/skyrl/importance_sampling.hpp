// SPDX-License-Identifier: Apache-2.0
// SkyRL's policy loss "importance_sampling": the ratio, without a clip.
// Source: SkyRL, …/skyrl_train/utils/ppo_utils.py
//
//   L = −Σ r·A,   r = exp(logprob − old); token_mean divides by the number of unmasked tokens
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>

namespace gradwire::inline v0 {
namespace skyrl {

// The ratio, without a clip.
template <auto Reduce = token_sum>
struct importance_sampling {
  constexpr auto operator()() const {
    using namespace fields;
    const auto r = let<"ratio">(ratio(logprobs, old_logprobs));
    return reduced(Reduce, surrogate(-ratio_gain(r, advantage), drift_metrics(logprobs, old_logprobs)));
  }
};
using importance_sampling_token_mean = importance_sampling<token_mean>;

}  // namespace skyrl
}  // namespace gradwire::inline v0
