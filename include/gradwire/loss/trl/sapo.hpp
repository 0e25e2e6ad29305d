// SPDX-License-Identifier: Apache-2.0
// TRL's GRPOTrainer, loss_type "sapo": a soft gate in place of the clip.
// Source: huggingface/trl, trl/trainer/grpo_trainer.py _compute_loss
//
//   L = 1/B Σ_i 1/|y_i| Σ_t m·x,   x = −A·σ(τ·(r − 1))·4/τ + β·k3(logprob, ref)·[r],   τ = τ_pos if A > 0 else τ_neg
//   B: every sequence, all-masked ones too.
//
// Reads per token: logprobs, old_logprobs, ref_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/trl.hpp>

namespace gradwire::inline v0 {
namespace trl {

// The mean over sequences of their token means.
template <auto Level = token_level>
struct sapo {
  double sapo_temperature_pos = 1.0;    // τ where the advantage is positive
  double sapo_temperature_neg = 1.05;   // τ elsewhere
  double beta = 0.0;                    // β, weight of the KL to the reference, per nat
  bool use_bias_correction_kl = false;  // multiply the KL by the ratio

  constexpr auto operator()() const {
    auto ratio = let<"ratio">(Level());
    auto gain = sapo_gate(ratio, fields::advantage, sapo_temperature_pos, sapo_temperature_neg) * fields::advantage;
    auto kl = trl_kl(ratio, use_bias_correction_kl);
    return objective_with(sequence_mean_of_all(weighted_kl(beta, kl) - gain), metric<"kl">(token_mean(kl)),
                          drift_metrics(fields::logprobs, fields::old_logprobs));
  }
};

// importance_sampling_level "sequence".
using sapo_sequence_level = sapo<sequence_level>;

}  // namespace trl
}  // namespace gradwire::inline v0
