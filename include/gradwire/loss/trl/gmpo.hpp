// SPDX-License-Identifier: Apache-2.0
// TRL's experimental GMPO: the geometric mean of clipped token ratios.
// Source: huggingface/trl, trl/experimental/gmpo/gmpo_trainer.py _compute_loss
//
//   L = 1/B Σ_i [ −A·exp(1/|y_i| Σ_t m·k) + β/|y_i| Σ_t m·k3(logprob, ref) ],   d = logprob − old
//   k = min(d, clip(d, −ε, ε_high)) if A > 0, else max(d, clip(d, −ε, ε_high));   B: every sequence
//   ε is a distance of the log ratio from 0: the ratio may lie in (e^−ε, e^ε_high).
//
// An all-masked sequence contributes 0 here and the constant −A/B, without a gradient, there.
// Reads per token: logprobs, old_logprobs, ref_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/trl.hpp>

namespace gradwire::inline v0 {
namespace trl {

// The mean over sequences; the token mean is inside the exponential.
struct gmpo {
  double epsilon = 0.4;           // ε, how far the log ratio may fall below 0, nats
  double epsilon_high = epsilon;  // ε_high, how far it may rise above 0, nats
  double beta = 0.0;              // β, weight of the KL to the reference, per nat

  constexpr auto operator()() const {
    using namespace fields;
    auto log_ratio = logprobs - old_logprobs;
    auto ratio = let<"ratio">(exp(mean_over_tokens(gmpo_log_ratio(log_ratio, advantage, epsilon, epsilon_high))));
    auto kl = let<"kl">(k3(logprobs, ref_logprobs));
    return objective_with(sequence_mean_of_all(weighted_kl(beta, kl) - ratio * advantage), metric<"kl">(token_mean(kl)),
                          clip_region(log_ratio, -epsilon, epsilon_high), drift_metrics(logprobs, old_logprobs));
  }
};

}  // namespace trl
}  // namespace gradwire::inline v0
