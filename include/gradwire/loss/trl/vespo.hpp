// SPDX-License-Identifier: Apache-2.0
// TRL's GRPOTrainer, loss_type "vespo": REINFORCE under a smooth weight of the whole sequence.
// Source: huggingface/trl, trl/trainer/grpo_trainer.py get_gamma_weights
//
//   L = Σ_i Σ_t m·x / Σ_i |y_i|,   x = −φ(w)·A·logprob + β·k3(logprob, ref)·[r],   φ(w) = e^λ·w^k·e^(−λw), detached
//   log w = clamp( Σ_t clamp(logprob − old, ±20), log 1e-8, 20 );  A ≥ 0: k = 2, λ = 3;  A < 0: k = 3, λ = 2
//
// Reads per token: logprobs, old_logprobs, ref_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/trl.hpp>
#include <gradwire/loss/parts/vespo.hpp>

namespace gradwire::inline v0 {
namespace trl {

// The token mean over all batches of an optimiser step.
struct vespo {
  double vespo_k_pos = 2.0;             // k, power of the sequence weight where A ≥ 0
  double vespo_lambda_pos = 3.0;        // λ, decay where A ≥ 0
  double vespo_k_neg = 3.0;             // k where A < 0
  double vespo_lambda_neg = 2.0;        // λ where A < 0
  double beta = 0.0;                    // β, weight of the KL to the reference, per nat
  bool use_bias_correction_kl = false;  // multiply the KL by the ratio

  constexpr auto operator()() const {
    using namespace fields;
    auto weight = let<"phi">(vespo_weight(logprobs - old_logprobs, advantage, 0.0, vespo_k_pos, vespo_lambda_pos,
                                          vespo_k_neg, vespo_lambda_neg));
    auto kl = trl_kl(ratio(logprobs, old_logprobs), use_bias_correction_kl);
    return objective_with(token_mean(weighted_kl(beta, kl) - weight * advantage * logprobs),
                          metric<"kl">(token_mean(kl)), metric<"phi_mean">(mean_over_sequences(weight)),
                          drift_metrics(logprobs, old_logprobs));
  }
};

}  // namespace trl
}  // namespace gradwire::inline v0
