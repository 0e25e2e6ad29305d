// SPDX-License-Identifier: Apache-2.0
// Direct preference optimisation and IPO over sums.                     source: OpenRLHF, models/loss.py DPOLoss
//
//   dpo:  L = mean over pairs −(1−ε)·log σ(βd) − ε·log σ(−βd)
//   ipo:  L = mean over pairs (d − 1/(2β))²                    (not normalised by length)
//   d = u_c − u_j,  u = Σ_t w·(logprob − ref_logprob)
//
// Divisor: pairs with any w ≠ 0. Reads per token: logprobs, ref_logprobs (nats), weights. Data: group(chosen(c),
// rejected(r)).
#pragma once

#include <gradwire/loss/dpo.hpp>

namespace gradwire::inline v0 {
namespace openrlhf {

using dpo = gradwire::dpo;

// Option ipo_enable.                                                            arXiv:2310.12036, eq. 17
struct ipo {
  double beta = 0.1;  // β, regularisation (the paper's τ), per nat of the summed log ratio

  constexpr auto operator()() const {
    const auto u = of_pair(log_ratio());
    return with_rewards(mean_over_pairs(distance_to(u.margin(), 1 / (2 * beta))), beta * u);
  }
};

}  // namespace openrlhf
}  // namespace gradwire::inline v0
