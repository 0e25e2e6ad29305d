// SPDX-License-Identifier: Apache-2.0
// ORPO: NLL of the chosen side and the log odds ratio, no reference.    source: TRL, experimental/orpo/orpo_trainer.py
//
//   L = NLL_c − β·mean over pairs log σ(o_c − o_j),      o = ℓ̄ − log(1 − e^ℓ̄),  ℓ̄ = mean_t logprob
//   NLL_c = −Σ w·logprob / Σ w over all chosen tokens of the batch (the source's trainer counts their prompts too)
//
// Divisors: chosen tokens; pairs with any w ≠ 0. Reads per token: logprobs (nats, ℓ̄ < 0), weights. Data:
// group(chosen(c), rejected(r)). Paper: arXiv:2403.07691.
#pragma once

#include <gradwire/loss/parts/preference.hpp>

namespace gradwire::inline v0 {
namespace trl {

struct orpo {
  double beta = 0.1;  // β (the paper's λ), weight of the odds ratio, dimensionless

  constexpr auto operator()() const {
    const auto logprob = of_pair(mean_over_tokens(fields::logprobs));
    const auto log_odds_ratio = log_odds(logprob.chosen) - log_odds(logprob.rejected);
    return with_rewards(chosen_nll() - beta * mean_over_pairs(log_sigmoid(log_odds_ratio)), beta * logprob,
                        metric<"nll">(chosen_nll()), metric<"log_odds_ratio">(mean_over_pairs(log_odds_ratio)));
  }
};

}  // namespace trl
}  // namespace gradwire::inline v0
