// SPDX-License-Identifier: Apache-2.0
// Supervised fine-tuning.                       source: slime, slime/backends/megatron_utils/loss.py sft_loss_function
//
//   L = Σ over sequences −mean_t logprob          (the source divides by its global batch size later)
//
// Divisor: Σ w of each sequence, none over sequences. Reads per token: logprobs (nats), weights.
#pragma once

#include <gradwire/loss/parts/likelihood.hpp>

namespace gradwire::inline v0 {
namespace slime {

struct sft {
  constexpr auto operator()() const { return with_perplexity(sum_over_sequences(mean_over_tokens(-fields::logprobs))); }
};

}  // namespace slime
}  // namespace gradwire::inline v0
