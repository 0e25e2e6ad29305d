// SPDX-License-Identifier: Apache-2.0
// GSPO in its token form: the sequence's ratio as the value, each token's own logprob as the carrier of the gradient,
// so that the advantage may differ from token to token.                           source: arXiv:2507.18071, eq. 13
//
//   L = − mean_s mean_t min(s_t·A_t, clip(s_t, 1−ε, 1+ε)·A_t),   s_t = sg(s)·exp(logprob − sg(logprob)),
//   s = exp(mean_t (logprob − old_logprob))
//
// The clip metrics are shares of the sequences.
// Reads per token: logprobs, old_logprobs (nats), token_advantage, weights.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>

namespace gradwire::inline v0 {

struct gspo_token {
  offset clip{0.2};  // ε, trust region of the sequence ratio, dimensionless

  constexpr auto operator()() const {
    using namespace fields;
    auto s = let<"sequence_ratio">(sequence_ratio_as_token(logprobs, old_logprobs, unbounded.value));
    auto gain = ppo_clip(s, token_advantage, low(clip), high(clip));
    return objective_with(sequence_mean(-gain), clip_metrics<sequence_mean>(s, token_advantage, low(clip), high(clip)),
                          drift_metrics(logprobs, old_logprobs));
  }
};

}  // namespace gradwire::inline v0
