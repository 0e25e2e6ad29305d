// SPDX-License-Identifier: Apache-2.0
// Dynamic fine-tuning: each token's likelihood weighted by its own probability. source: arXiv:2508.05629
//
//   L = −Σ w·sg(e^logprob)·logprob / Σ w          over all tokens of the batch
//
// Reads per token: logprobs (nats), weights.
#pragma once

#include <gradwire/loss/parts/likelihood.hpp>

namespace gradwire::inline v0 {

struct dft {
  constexpr auto operator()() const {
    return with_perplexity(mean_over_all_tokens(-stop_gradient(exp(fields::logprobs)) * fields::logprobs));
  }
};

}  // namespace gradwire::inline v0
