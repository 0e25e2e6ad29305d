// SPDX-License-Identifier: Apache-2.0
// ORPO as the cookbook's client computes it.                            source: fw-ai/cookbook,
// training/utils/losses.py
//
//   L = Σ over pairs [ −ℓ̄_c − λ·log σ(o_c − o_j) ],      o = p − log(1 − e^p),  p = clamp(ℓ̄, −50, −1e-6),  ℓ̄ = mean_t
//   logprob
//
// The source has no mask: it averages over every position of the response; give those the weight 1. Divisor: none (the
// metrics are means over pairs). Reads per token: logprobs (nats), weights. Data: group(chosen(c), rejected(r)).
#pragma once

#include <gradwire/loss/parts/preference.hpp>

namespace gradwire::inline v0 {
namespace fireworks {

struct orpo {
  double orpo_lambda = 1.0;  // λ, weight of the odds ratio, dimensionless

  constexpr auto operator()() const {
    const auto logprob = of_pair(mean_over_tokens(fields::logprobs));
    const auto p = make_pair_of(clamp(logprob.chosen, -50.0, -1e-6), clamp(logprob.rejected, -50.0, -1e-6));
    const auto log_odds_ratio = log_odds(p.chosen) - log_odds(p.rejected);
    const auto nll = -logprob.chosen;
    const auto odds_loss = -log_sigmoid(log_odds_ratio);
    return objective(
        sum_over_groups(nll + orpo_lambda * odds_loss), metric<"sft_loss">(mean_over_pairs(nll)),
        metric<"or_loss">(mean_over_pairs(odds_loss)), metric<"log_odds_ratio">(mean_over_pairs(log_odds_ratio)),
        metric<"chosen_avg_lp">(mean_over_pairs(p.chosen)), metric<"rejected_avg_lp">(mean_over_pairs(p.rejected)),
        metric<"accuracy">(mean_over_pairs(log_odds_ratio > 0)));
  }
};

}  // namespace fireworks
}  // namespace gradwire::inline v0
