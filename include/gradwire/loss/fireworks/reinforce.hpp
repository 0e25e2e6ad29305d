// SPDX-License-Identifier: Apache-2.0
// Fireworks' REINFORCE.
// Source: fw-ai/cookbook, training/utils/rl/reinforce.py
//
//   L = Σ_i Σ_t m·[ −ρ'·A + β·(sg(logprob) − ref) ],     ρ' = exp clamp(logprob − sampler, −20, 20)      a raw sum
//   The KL term has no gradient there: β changes the value only. The TIS weight is not applied there.
//   A sequence without an m above 0.5 is left out.
//
// Reads per token: logprobs, sampler_logprobs, ref_logprobs (nats), weights; per sequence: advantage.
// Without a reference: reinforce_without_kl.
#pragma once

#include <gradwire/loss/parts/fireworks.hpp>

namespace gradwire::inline v0 {
namespace fireworks {

// The raw sum over tokens, of the ratio to the engine that sampled.
struct reinforce_without_kl {
  constexpr auto operator()() const {
    using namespace fields;
    auto ratio = let<"ratio">(clamped_ratio(logprobs, sampler_logprobs, 20));
    return objective_with(raw_sum(-(ratio * advantage)), ratio_metrics(exp(logprobs - sampler_logprobs)));
  }
};

// The same with a KL term that has no gradient.
struct reinforce {
  double kl_beta = 0.0;  // β, weight of a KL term that changes the value only, per nat

  constexpr auto operator()() const {
    using namespace fields;
    auto drift = token_mean(stop_gradient(logprobs - ref_logprobs));
    return reinforce_without_kl{}() +
           objective(allow<lint::no_gradient>(kl_beta * raw_sum(stop_gradient(logprobs - ref_logprobs))),
                     metric<"kl">(drift));
  }
};

}  // namespace fireworks
}  // namespace gradwire::inline v0
