// SPDX-License-Identifier: Apache-2.0
// Identity preference optimisation: a bounded target for the margin.           source: arXiv:2310.12036, eq. 17
//
//   L = mean over pairs (u_c − u_j − 1/(2τ))²,      u = Σ_t w·(logprob − ref)
//
// Divisor: pairs with any w ≠ 0. Reads per token: logprobs, ref_logprobs (nats), weights. Data: group(chosen(c),
// rejected(r)). trl::dpo_ipo divides each u by its Σ w.
#pragma once

#include <gradwire/loss/parts/preference.hpp>

namespace gradwire::inline v0 {

struct ipo {
  double tau = 0.1;  // τ, weight of the KL to the reference, per nat of the summed log ratio

  constexpr auto operator()() const {
    const auto u = of_pair(log_ratio());
    return with_rewards(mean_over_pairs(distance_to(u.margin(), 1 / (2 * tau))), tau * u);
  }
};

}  // namespace gradwire::inline v0
