// SPDX-License-Identifier: Apache-2.0
// Negative log-likelihood with its metrics: nll = −Σ w·logprob / Σ w over the batch (nats per unit of weight), ppl =
// e^nll.
#pragma once

#include <gradwire/expression.hpp>

namespace gradwire::inline v0 {

template <expression Loss, class... Metrics>
constexpr auto with_perplexity(const Loss& loss, const Metrics&... more) {
  const auto nll = mean_over_all_tokens(-fields::logprobs);
  return objective(loss, metric<"nll">(nll), metric<"ppl">(exp(nll)), more...);
}

}  // namespace gradwire::inline v0
