// SPDX-License-Identifier: Apache-2.0
// Geometric-Mean Policy Optimization: each token clipped in log space, then one ratio a sequence.  source:
// arXiv:2507.20673
//
//   L = − mean_s A·exp(mean_t k),   k = min(d, ε) where A > 0, max(d, −ε) where A < 0,   d = logprob − old_logprob
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>

namespace gradwire::inline v0 {

struct gmpo {
  double clip = 0.4;  // ε, trust region of the log ratio, nats

  constexpr auto operator()() const {
    using namespace fields;
    auto d = logprobs - old_logprobs;
    auto gain = advantage * exp(mean_over_tokens(gmpo_log_ratio(d, advantage, clip, clip)));
    return objective_with(mean_over_sequences(-gain), clip_metrics(d, advantage, -clip, clip),
                          drift_metrics(logprobs, old_logprobs));
  }
};

}  // namespace gradwire::inline v0
