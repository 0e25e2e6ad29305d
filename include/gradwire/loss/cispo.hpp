// SPDX-License-Identifier: Apache-2.0
// Clipped importance-sampling weights: every token keeps a gradient.               source: MiniMax-M1, arXiv:2506.13585
//
//   L = − Σ sg(min(r, 1 + ε_high))·A·logprob / N,   r = exp(logprob − old_logprob), N tokens of the batch
//
// The paper has no lower bound in effect and tunes ε_high; 4.0 is ScaleRL's, arXiv:2510.13786.
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>

namespace gradwire::inline v0 {

struct cispo {
  offset clip_high{4.0};  // ε_high, cap of the weight above 1, dimensionless

  constexpr auto operator()() const {
    using namespace fields;
    auto r = let<"ratio">(ratio(logprobs, old_logprobs));
    return objective_with(token_mean(-cispo_weight(r, 0, high(clip_high)) * advantage * logprobs),
                          out_of_band_frac(r, 0, high(clip_high)), drift_metrics(logprobs, old_logprobs));
  }
};

}  // namespace gradwire::inline v0
