// SPDX-License-Identifier: Apache-2.0
// prime-rl's loss type "ce": the masked negative log-likelihood.
// Source: PrimeIntellect-ai/prime-rl, src/prime_rl/trainer/rl/loss.py ce_loss_fn
//
//   L = −Σ_i Σ_t m·logprob / #(m ≠ 0),   m: its ce_weights, which scale a token and do not enter the divisor
//
// Reads per token: logprobs (nats), weights.
#pragma once

#include <gradwire/loss/parts/prime_rl.hpp>

namespace gradwire::inline v0 {
namespace prime_rl {

// The mean over the tokens of the whole batch, by their number.
struct ce {
  constexpr auto operator()() const {
    return objective_with(mean_over_all_tokens_by_count(-fields::logprobs),
                          metric<"nll">(token_mean(-fields::logprobs)));
  }
};

}  // namespace prime_rl
}  // namespace gradwire::inline v0
