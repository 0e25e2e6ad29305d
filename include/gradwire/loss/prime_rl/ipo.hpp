// SPDX-License-Identifier: Apache-2.0
// prime-rl's loss type "ipo": a trust region on both sides, whatever the advantage.
// Source: PrimeIntellect-ai/prime-rl, src/prime_rl/trainer/rl/loss.py ipo_loss_fn
//
//                                    PrimeIntellect-ai/prime-rl src/prime_rl/trainer/rl/loss.py ipo_loss_fn
//   L = Σ_i Σ_t m·[ −keep·r·adv_tau·A + kl_tau·(logprob − sampler)² ] / Σ_i |y_i|,      r = exp(logprob − sampler)
//   keep = |p − q| ≤ ipo_threshold,   p = e^logprob, q = e^sampler.      Not the preference loss of this name.
//
// Reads per token: logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/prime_rl.hpp>

namespace gradwire::inline v0 {
namespace prime_rl {

// The token mean of the whole batch; the pull to the sampler acts on dropped tokens too.
struct ipo {
  double ipo_threshold = 0.1;  // how far the probability may move, dimensionless
  double adv_tau = 1.0;        // scale of the advantage
  double kl_tau = 1e-3;        // weight of the squared log ratio, per nat²

  constexpr auto operator()() const {
    using namespace fields;
    auto keep = abs(exp(logprobs) - exp(sampler_logprobs)) <= ipo_threshold;
    return trust_region_objective(keep, adv_tau * advantage, kl_tau);
  }
};

}  // namespace prime_rl
}  // namespace gradwire::inline v0
