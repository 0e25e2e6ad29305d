// SPDX-License-Identifier: Apache-2.0
// GRPO done right: no division by a sequence's own length.                                     source: arXiv:2503.20783
//
//   L = − mean_s Σ_t min(r·A, clip(r, 1−ε, 1+ε)·A),   r = exp(logprob − old_logprob); A = reward − mean of the group
//
// Systems divide by a constant length as well, and not by the same: skyrl::…_seq_mean_token_sum_norm, trl::dr_grpo,
// verl::…. Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>

namespace gradwire::inline v0 {

struct dr_grpo {
  offset clip{0.2};  // ε, trust region of the ratio, dimensionless

  constexpr auto operator()() const {
    using namespace fields;
    auto r = let<"ratio">(ratio(logprobs, old_logprobs));
    return objective_with(sequence_mean_token_sum(-ppo_clip(r, advantage, low(clip), high(clip))),
                          clip_metrics(r, advantage, low(clip), high(clip)), drift_metrics(logprobs, old_logprobs));
  }
};

}  // namespace gradwire::inline v0
