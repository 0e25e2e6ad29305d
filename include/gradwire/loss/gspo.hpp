// SPDX-License-Identifier: Apache-2.0
// Group Sequence Policy Optimization: the ratio of whole sequences.            source: arXiv:2507.18071
//
//   L = − mean_s min(s·A, clip(s, 1−ε, 1+ε)·A),          s = exp(mean_t (logprob − old_logprob))
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage. gspo_token has the token form, whose
// gradient may carry a per-token advantage: s_t = sg(s)·exp(logprob − sg(logprob)).
#pragma once

#include <gradwire/expression.hpp>

namespace gradwire::inline v0 {

struct gspo {
  double clip = 0.2;  // ε, trust region of the sequence ratio; the paper uses 3e-4 below and 4e-4 above

  constexpr auto operator()() const {
    using namespace fields;
    auto ratio = let<"sequence_ratio">(exp(mean_over_tokens(logprobs - old_logprobs)));
    return mean_over_sequences(-min(ratio * advantage, clamp(ratio, 1 - clip, 1 + clip) * advantage));
  }
};

struct gspo_token {
  double clip = 0.2;

  constexpr auto operator()() const {
    using namespace fields;
    auto sequence_ratio = let<"sequence_ratio">(exp(mean_over_tokens(logprobs - old_logprobs)));
    auto ratio = let<"ratio">(stop_gradient(sequence_ratio) * exp(logprobs - stop_gradient(logprobs)));
    auto gain = min(ratio * advantage, clamp(ratio, 1 - clip, 1 + clip) * advantage);
    return mean_over_sequences(mean_over_tokens(-gain));
  }
};

}  // namespace gradwire::inline v0
