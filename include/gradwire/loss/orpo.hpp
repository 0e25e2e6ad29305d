// SPDX-License-Identifier: Apache-2.0
// Odds ratio preference optimisation: NLL and the odds ratio, no reference.    source: arXiv:2403.07691
//
//   L = mean over pairs [ −ℓ̄_c − λ·log σ(o_c − o_j) ],      o = ℓ̄ − log(1 − e^ℓ̄),  ℓ̄ = mean_t logprob
//
// Divisor: pairs with any w ≠ 0. Reads per token: logprobs (nats, ℓ̄ < 0), weights. Data: group(chosen(c), rejected(r)).
#pragma once

#include <gradwire/loss/parts/preference.hpp>

namespace gradwire::inline v0 {

struct orpo {
  double odds_weight = 0.1;  // λ, weight of the odds ratio, dimensionless

  constexpr auto operator()() const {
    const auto logprob = of_pair(mean_over_tokens(fields::logprobs));
    const auto log_odds_ratio = log_odds(logprob.chosen) - log_odds(logprob.rejected);
    return with_rewards(mean_over_pairs(-logprob.chosen - odds_weight * log_sigmoid(log_odds_ratio)), logprob,
                        metric<"log_odds_ratio">(mean_over_pairs(log_odds_ratio)));
  }
};

}  // namespace gradwire::inline v0
