// SPDX-License-Identifier: Apache-2.0
// Group Relative Policy Optimization with a KL term to a reference.            source: DeepSeekMath, arXiv:2402.03300
//
//   L = mean_s mean_t [ β·k3(logprob, ref) − min(r·A, clip(r, 1−ε, 1+ε)·A) ],   r = exp(logprob − old_logprob)
//
// Reads per token: logprobs, old_logprobs, ref_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/expression.hpp>

namespace gradwire::inline v0 {

struct grpo {
  double clip = 0.2;   // ε, trust region of the ratio, dimensionless
  double beta = 0.04;  // β, weight of the KL to the reference, per nat

  constexpr auto operator()() const {
    using namespace fields;
    auto ratio = let<"ratio">(exp(logprobs - old_logprobs));
    // min(r·A, clip(r)·A), written so that A = 0 is 0 also where r overflows
    auto gain = where(advantage < 0, max(ratio, 1 - clip), min(ratio, 1 + clip)) * advantage;
    auto kl = let<"kl">(k3(logprobs, ref_logprobs));
    return objective(mean_over_sequences(mean_over_tokens(beta * kl - gain)),
                     metric<"kl">(mean_over_all_tokens(kl)),
                     metric<"clip_fraction">(mean_over_all_tokens(abs(ratio - 1) > clip)));
  }
};

}  // namespace gradwire::inline v0
