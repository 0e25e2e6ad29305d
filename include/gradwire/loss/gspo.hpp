// SPDX-License-Identifier: Apache-2.0
// Group Sequence Policy Optimization: the ratio of whole sequences.            source: arXiv:2507.18071
//
//   L = − mean_s min(s·A, clip(s, 1−ε, 1+ε)·A),          s = exp(mean_t (logprob − old_logprob))
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/expression.hpp>

namespace gradwire::inline v0 {

struct gspo {
  double clip = 0.2;  // ε, trust region of the sequence ratio; the paper uses 3e-4 below and 4e-4 above

  constexpr auto operator()() const {
    using namespace fields;
    auto ratio = let<"sequence_ratio">(exp(mean_over_tokens(logprobs - old_logprobs)));
    auto gain = where(advantage < 0, max(ratio, 1 - clip), min(ratio, 1 + clip)) * advantage;
    return objective(mean_over_sequences(-gain), metric<"clip_fraction">(mean_over_sequences(abs(ratio - 1) > clip)));
  }
};

}  // namespace gradwire::inline v0
