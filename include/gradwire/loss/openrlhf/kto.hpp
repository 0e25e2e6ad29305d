// SPDX-License-Identifier: Apache-2.0
// Kahneman-Tversky optimisation.        source: OpenRLHF, models/loss.py KTOLoss, VanillaKTOLoss (as of 2025; removed
// since)
//
//   kto:          L = mean over sequences  λ_D·(1 − σ(β(u − z)))  where desirable ≠ 0,  λ_U·(1 − σ(β(z − u))) elsewhere
//   vanilla_kto:  L = mean over the 2P sequences of pairs  1 − σ(β(u_c − z_j)),  1 − σ(β(z_c − u_j)),
//                 z_c = max(0, mean over pairs u_c), z_j likewise; their gradient is kept
//   u = Σ_t w·(logprob − ref_logprob)
//
// Divisors: sequences, pairs with any w ≠ 0. Reads per token: logprobs, ref_logprobs (nats), weights; kto per sequence:
// desirable; vanilla_kto takes group(chosen(c), rejected(r)).
#pragma once

#include <gradwire/loss/parts/unpaired.hpp>

namespace gradwire::inline v0 {
namespace openrlhf {

struct kto {
  double beta = 0.1;                // β, inverse temperature of the reward, per nat of the summed log ratio
  double desirable_weight = 1.0;    // λ_D, dimensionless
  double undesirable_weight = 1.0;  // λ_U, dimensionless
  double kl = 0.0;                  // z, max(0, mean u) over completions of other prompts, nats

  constexpr auto operator()() const {
    const auto u = log_ratio();
    const auto z = constant{kl};
    return unpaired(desirable_weight * kto_loss(u, z, beta), undesirable_weight * kto_loss(z, u, beta), beta * u);
  }
};

struct vanilla_kto {
  using breaks_contract = broken<breaks<rule::chunk_invariance, "a gradient passes through the batch's mean of u">>;
  double beta = 0.1;  // β, inverse temperature of the reward, per nat of the summed log ratio

  constexpr auto operator()() const {
    const auto u = of_pair(log_ratio());
    const auto z = make_pair_of(max(mean_over_pairs(u.chosen), 0.0), max(mean_over_pairs(u.rejected), 0.0));
    const auto loss = kto_loss(u.chosen, z.rejected, beta) + kto_loss(z.chosen, u.rejected, beta);
    return with_rewards(0.5 * mean_over_pairs(loss), beta * u);
  }
};

}  // namespace openrlhf
}  // namespace gradwire::inline v0
