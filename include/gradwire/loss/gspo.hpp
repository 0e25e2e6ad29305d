// SPDX-License-Identifier: Apache-2.0
// Group Sequence Policy Optimization: the ratio of whole sequences.                            source: arXiv:2507.18071
//
//   L = − mean_s min(s·A, clip(s, 1−ε, 1+ε)·A),          s = exp(mean_t (logprob − old_logprob))
//
// The clip metrics are shares of the sequences.
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>

namespace gradwire::inline v0 {

struct gspo {
  offset clip{0.2};  // ε, trust region of the sequence ratio; the paper uses 3e-4 below and 4e-4 above

  constexpr auto operator()() const {
    using namespace fields;
    auto s = let<"sequence_ratio">(sequence_ratio(logprobs, old_logprobs));
    auto gain = ppo_clip(s, advantage, low(clip), high(clip));
    return objective_with(mean_over_sequences(-gain), clip_metrics<sequence_mean>(s, advantage, low(clip), high(clip)),
                          drift_metrics(logprobs, old_logprobs));
  }
};

}  // namespace gradwire::inline v0
