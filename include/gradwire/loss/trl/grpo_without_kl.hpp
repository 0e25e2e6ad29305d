// SPDX-License-Identifier: Apache-2.0
// TRL's clipped losses at β = 0, where TRL loads no reference.
// Source: huggingface/trl, trl/trainer/grpo_trainer.py _compute_loss
//
//   x = −min( min(r, δ)·A, clip(r, 1 − ε, 1 + ε_high)·A );   reductions and ratios as in trl::grpo
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/trl.hpp>

namespace gradwire::inline v0 {
namespace trl {

// loss_type "grpo" without a reference: the mean over sequences of their token means.
template <auto Reduce = sequence_mean_of_all, auto Level = token_level>
struct grpo_without_kl {
  offset epsilon = offset{0.2};   // ε, how far the ratio may fall below 1
  offset epsilon_high = epsilon;  // ε_high, how far it may rise above 1
  bound delta = unbounded;        // δ, cap of the ratio for both signs of the advantage

  constexpr auto operator()() const {
    auto ratio = let<"ratio">(Level());
    auto gain = two_sided(ratio, fields::advantage, low(epsilon), high(epsilon_high), delta.value);
    return objective_with(Reduce(-gain), clip_region(ratio, low(epsilon), high(epsilon_high)),
                          drift_metrics(fields::logprobs, fields::old_logprobs));
  }
};

// loss_type "dapo" (or "bnpo" of one micro-batch) without a reference: the token mean.
using dapo_without_kl = grpo_without_kl<token_mean>;

}  // namespace trl
}  // namespace gradwire::inline v0
