// SPDX-License-Identifier: Apache-2.0
// prime-rl's loss type "ref_kl" (on-policy distillation): the reverse KL to a reference as advantage.
// Source: PrimeIntellect-ai/prime-rl, src/prime_rl/trainer/rl/loss.py ref_kl_loss_fn
//
//   L = Σ_i Σ_t m·[ −keep·r·sg(ref − logprob) + 1e-3·(logprob − sampler)² ] / Σ_i |y_i|
//   r = exp(logprob − sampler);   keep = p − q ≥ −0.2,   p = e^logprob, q = e^sampler
//   No advantage is read. The two numbers are constants there.
//
// Reads per token: logprobs, sampler_logprobs, ref_logprobs (opd: teacher_logprobs) (nats), weights.
#pragma once

#include <gradwire/loss/parts/prime_rl.hpp>

namespace gradwire::inline v0 {
namespace prime_rl {

// The token mean of the whole batch, towards ref_logprobs.
template <auto Reference = fields::ref_logprobs>
struct ref_kl {
  double mask_low = 0.2;  // how far the probability may fall, dimensionless
  double kl_tau = 1e-3;   // weight of the squared log ratio, per nat²

  constexpr auto operator()() const {
    using namespace fields;
    auto keep = exp(logprobs) - exp(sampler_logprobs) >= -mask_low;
    auto towards = let<"ref_kl">(-stop_gradient(logprobs - Reference));
    return trust_region_objective(keep, towards, kl_tau, metric<"ref_kl">(token_mean(towards)));
  }
};

// The same towards teacher_logprobs.
using opd = ref_kl<fields::teacher_logprobs>;

}  // namespace prime_rl
}  // namespace gradwire::inline v0
