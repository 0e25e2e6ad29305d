// SPDX-License-Identifier: Apache-2.0
// Group Relative Policy Optimization with a KL term to a reference.              source: DeepSeekMath, arXiv:2402.03300
//
//   L = mean_s mean_t [ β·k3(logprob, ref) − min(r·A, clip(r, 1−ε, 1+ε)·A) ],   r = exp(logprob − old_logprob)
//
// Reads per token: logprobs, old_logprobs, ref_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>

namespace gradwire::inline v0 {

struct grpo {
  offset clip{0.2};    // ε, trust region of the ratio, dimensionless
  double beta = 0.04;  // β, weight of the KL to the reference, per nat

  constexpr auto operator()() const {
    using namespace fields;
    auto r = let<"ratio">(ratio(logprobs, old_logprobs));
    auto gain = ppo_clip(r, advantage, low(clip), high(clip));
    auto kl = let<"kl">(k3(logprobs, ref_logprobs));
    return objective_with(sequence_mean(beta * kl - gain), metric<"kl">(token_mean(kl)),
                          clip_metrics(r, advantage, low(clip), high(clip)), approx_kl_k1(logprobs, old_logprobs),
                          ratio_metrics(r));
  }
};

}  // namespace gradwire::inline v0
