// SPDX-License-Identifier: Apache-2.0
// Supervised fine-tuning.                                                       source: OpenRLHF, models/loss.py
// SFTLoss
//
//   sft:              L = −Σ w·logprob / Σ w                                      token_level_loss
//   sft_sample_mean:  L = mean over sequences −Σ_t w·logprob / (Σ_t w + 1e-8)     token_level_loss off
//
// Divisors: all tokens of the batch; sequences with any w ≠ 0. Reads per token: logprobs (nats), weights.
#pragma once

#include <gradwire/loss/sft_nll.hpp>

namespace gradwire::inline v0 {
namespace openrlhf {

using sft = sft_nll;

struct sft_sample_mean {
  constexpr auto operator()() const {
    const auto nll = sum_over_tokens(-fields::logprobs) / (terminals::weight_sum + 1e-8);
    return with_perplexity(mean_over_sequences(nll));
  }
};

}  // namespace openrlhf
}  // namespace gradwire::inline v0
