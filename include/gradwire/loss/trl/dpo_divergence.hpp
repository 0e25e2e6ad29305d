// SPDX-License-Identifier: Apache-2.0
// DPO with another divergence than the reverse KL: scores in place of log ratios. source: TRL, trainer/dpo_trainer.py
//
//   L = mean over pairs −log σ(β(s(u_c) − s(u_j))),      u = Σ_t w·(logprob − ref_logprob) per sequence
//
// Divisor: pairs with any w ≠ 0. Reads per token: logprobs, ref_logprobs (nats), weights. Data: group(chosen(c),
// rejected(r)). Paper: arXiv:2309.16240.
#pragma once

#include <gradwire/loss/parts/pair_loss.hpp>

namespace gradwire::inline v0 {
namespace trl {

// f_divergence_type forward_kl: s = −e^(−u).
template <auto Score = divergence::forward_kl, auto Loss = pair_loss::logistic_margin>
struct dpo_with_forward_kl {
  double beta = 0.1;  // β, inverse temperature of the score, dimensionless

  constexpr auto operator()() const {
    const auto u = of_pair(log_ratio());
    return with_rewards(mean_over_pairs(Loss(divergence::of_both(Score, u), u, beta)), beta * u);
  }
};

// f_divergence_type js_divergence: s = log σ(u).
using dpo_with_js_divergence = dpo_with_forward_kl<divergence::js>;

// f_divergence_type alpha_divergence: s = e^((α−1)·u) / (α − 1), the exponent at most 80.
struct dpo_with_alpha_divergence {
  double beta = 0.1;                     // β, inverse temperature of the score, dimensionless
  double f_alpha_divergence_coef = 0.5;  // α, dimensionless; 1 is the reverse KL

  constexpr auto operator()() const {
    const auto u = of_pair(log_ratio());
    const auto s = [&](const auto& x) { return divergence::alpha(x, f_alpha_divergence_coef); };
    return with_rewards(mean_over_pairs(logistic(beta * divergence::of_both(s, u).margin())), beta * u);
  }
};

}  // namespace trl
}  // namespace gradwire::inline v0
