// SPDX-License-Identifier: Apache-2.0
// GSPO in its token form: the sequence's ratio as the value, each token's own logprob as the carrier of the gradient, so
// that the advantage may differ from token to token.                           source: arXiv:2507.18071, eq. 13
//
//   L = − mean_s mean_t min(s_t·A_t, clip(s_t, 1−ε, 1+ε)·A_t),   s_t = sg(s)·exp(logprob − sg(logprob)),
//   s = exp(mean_t (logprob − old_logprob))
//
// Reads per token: logprobs, old_logprobs (nats), token_advantage, weights.
#pragma once

#include <gradwire/expression.hpp>

namespace gradwire::inline v0 {

struct gspo_token {
  double clip = 0.2;  // ε, trust region of the sequence ratio

  constexpr auto operator()() const {
    using namespace fields;
    auto sequence_ratio = let<"sequence_ratio">(exp(mean_over_tokens(logprobs - old_logprobs)));
    auto ratio = let<"ratio">(stop_gradient(sequence_ratio) * exp(logprobs - stop_gradient(logprobs)));
    auto gain = where(token_advantage < 0, max(ratio, 1 - clip), min(ratio, 1 + clip)) * token_advantage;
    return objective(mean_over_sequences(mean_over_tokens(-gain)),
                     metric<"clip_fraction">(mean_over_sequences(abs(sequence_ratio - 1) > clip)));
  }
};

}  // namespace gradwire::inline v0
