// SPDX-License-Identifier: Apache-2.0
// TRL's RLOOTrainer: the clipped ratio of whole sequences.
// Source: huggingface/trl, trl/trainer/rloo_trainer.py _compute_loss
//
//   L = −1/B Σ_i min(s·A, clip(s, 1 − ε, 1 + ε_high)·A),     s = exp Σ_t m·(logprob − old): the product, not a mean
//
// B: every sequence. An all-masked one contributes 0 here and the constant −A/B, without a gradient, there. The KL
// (β = 0.05, Σ_t (old − ref)) is taken off the reward there, before the leave-one-out advantage.
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/trl.hpp>

namespace gradwire::inline v0 {
namespace trl {

// The mean over sequences, of sequence products.
struct rloo {
  offset epsilon = offset{0.2};   // ε, how far the ratio of the sequence may fall below 1
  offset epsilon_high = epsilon;  // ε_high, how far it may rise above 1

  constexpr auto operator()() const {
    using namespace fields;
    auto ratio = let<"sequence_ratio">(sequence_ratio_product(logprobs, old_logprobs));
    auto gain = ppo_clip(ratio, advantage, low(epsilon), high(epsilon_high));
    return objective_with(mean_over_sequences<all_masked::counts>(-gain),
                          metric<"clip_frac">(mean_over_sequences(
                              as_expression(clip_won(ratio, advantage, low(epsilon), high(epsilon_high))))),
                          drift_metrics(logprobs, old_logprobs));
  }
};

}  // namespace trl
}  // namespace gradwire::inline v0
