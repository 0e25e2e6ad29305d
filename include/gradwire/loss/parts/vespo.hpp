// SPDX-License-Identifier: Apache-2.0
// VESPO's weight of a sequence, detached.
// Source: arXiv:2602.10693; huggingface/trl, trl/trainer/grpo_trainer.py get_gamma_weights
//
//   φ(w) = e^λ·w^k·e^(−λw),   w = exp clamp( Σ_t clamp(log r, −20, 20) + log_correction, log 1e-8, 20 ),   φ(1) = 1
//   k and λ by the sign of A (A ≥ 0: the positive ones), λ at least 1e-4
#pragma once

#include <gradwire/loss/parts/log_clamp.hpp>

namespace gradwire::inline v0 {

inline constexpr double log_of_1e_8 = -18.420680743952367;

// log_correction: Σ_t of a clamped log weight per sequence, or 0.0.
template <expression D, expression A, operand C>
constexpr auto vespo_weight(const D& log_ratio, const A& advantage, const C& log_correction, double k_pos,
                            double lambda_pos, double k_neg, double lambda_neg) {
  const auto total = sum_over_tokens(clamp(stop_gradient(log_ratio), -20, 20)) + log_correction;
  const auto log_weight = clamp(total, log_of_1e_8, 20);
  const auto k = where(advantage < 0, k_neg, k_pos);
  const auto lambda = max(where(advantage < 0, lambda_neg, lambda_pos), 1e-4);
  return exp(lambda + k * log_weight - lambda * exp(log_weight));
}

}  // namespace gradwire::inline v0
