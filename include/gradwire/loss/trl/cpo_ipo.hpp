// SPDX-License-Identifier: Apache-2.0
// CPO with the loss of IPO.                                source: TRL, experimental/cpo/cpo_trainer.py, loss_type ipo
//
//   L = mean over pairs (ℓ_c − ℓ_j − 1/(2β))² + α·NLL_c,      NLL_c = −Σ w·logprob / Σ w over all chosen tokens of the
//                                                             batch
//   cpo_ipo:          ℓ = mean_t logprob, as the trainer passes it
//   cpo_ipo_of_sums:  ℓ = Σ_t w·logprob, what the trainer's method cpo_loss computes when it is given sums
//
// Divisor: pairs with any w ≠ 0. Reads per token: logprobs (nats), weights. Data: group(chosen(c), rejected(r)).
#pragma once

#include <gradwire/loss/parts/preference.hpp>

namespace gradwire::inline v0 {
namespace trl {

inline constexpr auto summed = [](const auto& x) { return sum_over_tokens(x); };
inline constexpr auto averaged = [](const auto& x) { return mean_over_tokens(x); };

template <auto Sequence = averaged>
struct cpo_ipo {
  double beta = 0.1;       // β, inverse temperature, per nat of the averaged (of_sums: summed) logprob
  double cpo_alpha = 1.0;  // α, weight of the chosen sequences' NLL

  constexpr auto operator()() const {
    const auto logprob = of_pair(Sequence(fields::logprobs));
    const auto loss = mean_over_pairs(distance_to(logprob.margin(), 1 / (2 * beta)));
    return with_rewards(loss + cpo_alpha * chosen_nll(), beta * logprob);
  }
};
using cpo_ipo_of_sums = cpo_ipo<summed>;

}  // namespace trl
}  // namespace gradwire::inline v0
