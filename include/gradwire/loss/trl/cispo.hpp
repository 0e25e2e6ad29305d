// SPDX-License-Identifier: Apache-2.0
// TRL's GRPOTrainer, loss_type "cispo".
// Source: huggingface/trl, trl/trainer/grpo_trainer.py _compute_loss
//
//   L = Σ_i Σ_t m·x / Σ_i |y_i|,      x = −sg(min(r, epsilon_high))·A·logprob + β·k3(logprob, ref)·[r]
//
// epsilon_high is the cap of the ratio itself here, not a distance from 1, and there is no lower edge. Its default is
// that of the trainer's other losses, 0.2, which caps every ratio near 1 as well: papers use 2 … 8, TRL's own recipe 5.
// Reads per token: logprobs, old_logprobs, ref_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/trl.hpp>

namespace gradwire::inline v0 {
namespace trl {

// The token mean over all batches of an optimiser step.
template <auto Level = token_level>
struct cispo {
  bound epsilon_high = bound{0.2};      // cap of the ratio
  double beta = 0.0;                    // β, weight of the KL to the reference, per nat
  bool use_bias_correction_kl = false;  // multiply the KL by the ratio

  constexpr auto operator()() const {
    auto ratio = let<"ratio">(Level());
    auto weight = stop_gradient(min(ratio, epsilon_high.value));
    auto kl = trl_kl(ratio, use_bias_correction_kl);
    return objective_with(
        token_mean(weighted_kl(beta, kl) - weight * fields::advantage * fields::logprobs), metric<"kl">(token_mean(kl)),
        metric<"clip_high">(token_mean(as_expression(ratio > epsilon_high.value && fields::advantage > 0))),
        drift_metrics(fields::logprobs, fields::old_logprobs));
  }
};

// importance_sampling_level "sequence".
using cispo_sequence_level = cispo<sequence_level>;

}  // namespace trl
}  // namespace gradwire::inline v0
