// SPDX-License-Identifier: Apache-2.0
// Supervised fine-tuning: negative log-likelihood of the targets, per unit of weight.
//
//   L = - Σ w·logprob / Σ w                     over all tokens of the batch, w = 0 masks
//
// Reads per token: logprobs (nats), weights. The sum, without the division, is what a trainer's cross_entropy computes.
#pragma once

#include <gradwire/expression.hpp>

namespace gradwire::inline v0 {

struct sft_nll {
  constexpr auto operator()() const { return mean_over_all_tokens(-fields::logprobs); }
};

struct sft_nll_sum {
  constexpr auto operator()() const { return sum_over_all_tokens(-fields::logprobs); }
};

}  // namespace gradwire::inline v0
