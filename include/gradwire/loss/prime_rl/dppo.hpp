// SPDX-License-Identifier: Apache-2.0
// prime-rl's default loss: DPPO with a binary total-variation trust region, and a squared log ratio.
// Source: PrimeIntellect-ai/prime-rl, src/prime_rl/trainer/rl/loss.py default_loss_fn
//
//                                    PrimeIntellect-ai/prime-rl src/prime_rl/trainer/rl/loss.py default_loss_fn
//   L = Σ_i Σ_t m·[ −keep·r·adv_tau·A + kl_tau·(logprob − sampler)² ] / Σ_i |y_i|,      r = exp(logprob − sampler)
//   keep = not ( A > 0 and p − q > δ_high, or A < 0 and q − p > δ_low ),   p = e^logprob, q = e^sampler
//
// Reads per token: logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/prime_rl.hpp>

namespace gradwire::inline v0 {
namespace prime_rl {

// The token mean of the whole batch; the pull to the sampler acts on dropped tokens too.
struct dppo {
  double dppo_mask_low = 0.2;   // δ_low, how far the probability may fall, dimensionless
  double dppo_mask_high = 0.2;  // δ_high, how far it may rise
  double adv_tau = 1.0;         // scale of the advantage
  double kl_tau = 1e-3;         // weight of the squared log ratio, per nat²

  constexpr auto operator()() const {
    using namespace fields;
    auto keep = tv_keep(logprobs, sampler_logprobs, advantage, dppo_mask_low, dppo_mask_high);
    return trust_region_objective(keep, adv_tau * advantage, kl_tau);
  }
};

}  // namespace prime_rl
}  // namespace gradwire::inline v0
