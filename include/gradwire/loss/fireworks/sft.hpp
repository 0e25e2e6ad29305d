// SPDX-License-Identifier: Apache-2.0
// Supervised fine-tuning as the cookbook's client computes it.          source: fw-ai/cookbook,
// training/utils/losses.py
//
//   sft, batch_sft, weighted_sft:  L = −Σ w·logprob / Σ w over the batch (sft: of one datum; the first two count every
//                                  position of the response: give those the weight 1)
//   weighted_sft_in_microbatches:  L = Σ over parts of −Σ w·logprob / Σ w, parts named by micro_batch: k parts, k times
//                                  larger
//   sft_recipe:                    L = Σ over sequences of −Σ_t w·logprob / Σ_t w
//                                  recipes/sft_loop.py: weights that sum to 1
//
// Sequences without weight contribute nothing. Reads per token: logprobs (nats), weights; …_in_microbatches:
// micro_batch.
#pragma once

#include <gradwire/expression/order.hpp>
#include <gradwire/loss/sft_nll.hpp>

namespace gradwire::inline v0 {
namespace fireworks {

using sft = sft_nll;
using batch_sft = sft_nll;
using weighted_sft = sft_nll;

struct weighted_sft_in_microbatches {
  constexpr auto operator()() const {
    const auto part_weight = sum_within(fields::micro_batch, terminals::weight_sum);
    return with_perplexity(sum_over_sequences(divide_or_zero(sum_over_tokens(-fields::logprobs), part_weight)));
  }
};

struct sft_recipe {
  constexpr auto operator()() const { return with_perplexity(sum_over_sequences(mean_over_tokens(-fields::logprobs))); }
};

}  // namespace fireworks
}  // namespace gradwire::inline v0
