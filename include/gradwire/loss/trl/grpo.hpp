// SPDX-License-Identifier: Apache-2.0
// TRL's GRPOTrainer, its clipped losses.
// Source: huggingface/trl, trl/trainer/grpo_trainer.py _compute_loss
//
//   x = −min( min(r, δ)·A, clip(r, 1 − ε, 1 + ε_high)·A ) + β·k3(logprob, ref)·[r if use_bias_correction_kl]
//   grpo        L = 1/B Σ_i 1/|y_i| Σ_t m·x       B: every sequence, all-masked ones too
//   bnpo, dapo  L = Σ_i Σ_t m·x / Σ_i |y_i|       bnpo: of one micro-batch; dapo: of all batches of an optimiser step
//   r = exp(logprob − old). TRL divides grpo and bnpo by the gradient accumulation steps; here the batch is whole.
//
// Reads per token: logprobs, old_logprobs, ref_logprobs (nats), weights; per sequence: advantage.
// Without a reference: grpo_without_kl. The divisor B·max_completion_length is trl::dr_grpo.
#pragma once

#include <gradwire/loss/parts/trl.hpp>

namespace gradwire::inline v0 {
namespace trl {

// loss_type "grpo": the mean over sequences of their token means.
template <auto Reduce = sequence_mean_of_all, auto Level = token_level>
struct grpo {
  offset epsilon = offset{0.2};         // ε, how far the ratio may fall below 1
  offset epsilon_high = epsilon;        // ε_high, how far it may rise above 1
  bound delta = unbounded;              // δ, cap of the ratio for both signs of the advantage
  double beta = 0.0;                    // β, weight of the KL to the reference, per nat
  bool use_bias_correction_kl = false;  // multiply the KL by the ratio

  constexpr auto operator()() const {
    auto ratio = let<"ratio">(Level());
    auto gain = two_sided(ratio, fields::advantage, low(epsilon), high(epsilon_high), delta.value);
    auto kl = trl_kl(ratio, use_bias_correction_kl);
    return clipped_objective(Reduce, ratio, gain, kl, beta, low(epsilon), high(epsilon_high));
  }
};

// loss_type "bnpo", of one micro-batch: the token mean.
using bnpo = grpo<token_mean>;
// loss_type "bnpo" with gradient accumulation: the mean over micro-batches of their token means.
using bnpo_of_micro_batches = grpo<micro_batch_mean>;
// loss_type "dapo" (TRL's default): the token mean over all batches of an optimiser step.
using dapo = grpo<token_mean>;
}  // namespace trl
}  // namespace gradwire::inline v0
