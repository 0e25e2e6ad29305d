// SPDX-License-Identifier: Apache-2.0
// Supervised fine-tuning: negative log-likelihood of the targets, per unit of weight.
//
//   sft_nll      L = −Σ w·logprob / Σ w         over all tokens of the batch, w = 0 masks
//   sft_nll_sum  L = −Σ w·logprob               what a trainer's cross_entropy computes
//
// Reads per token: logprobs (nats), weights.
#pragma once

#include <gradwire/loss/parts/likelihood.hpp>

namespace gradwire::inline v0 {

struct sft_nll {
  constexpr auto operator()() const { return with_perplexity(mean_over_all_tokens(-fields::logprobs)); }
};

struct sft_nll_sum {
  constexpr auto operator()() const { return with_perplexity(sum_over_all_tokens(-fields::logprobs)); }
};

}  // namespace gradwire::inline v0
