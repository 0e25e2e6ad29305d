// SPDX-License-Identifier: Apache-2.0
// SimPO: averaged logprobs, a margin, no reference.             source: open-instruct, open_instruct/dpo_utils.py
// simpo_loss
//
//   L = mean over pairs −(1−ε)·log σ(z) − ε·log σ(−z),      z = β(ℓ̄_c − ℓ̄_j − γ/β),  ℓ̄ = mean_t logprob
//
// Divisor: pairs with any w ≠ 0. Reads per token: logprobs (nats), weights. Data: group(chosen(c), rejected(r)).
// Paper: arXiv:2405.14734.
#pragma once

#include <gradwire/loss/parts/preference.hpp>

namespace gradwire::inline v0 {
namespace open_instruct {

struct simpo {
  double beta = 5.0;              // β, inverse temperature, per nat of the averaged logprob
  double gamma_beta_ratio = 0.3;  // γ/β, margin of the averaged logprobs, nats
  double label_smoothing = 0.0;   // ε, assumed share of swapped labels

  constexpr auto operator()() const {
    const auto logprob = of_pair(mean_over_tokens(fields::logprobs));
    const auto z = beta * (logprob.margin() - gamma_beta_ratio);
    return with_rewards(mean_over_pairs(logistic(z, label_smoothing)), beta * logprob);
  }
};

}  // namespace open_instruct
}  // namespace gradwire::inline v0
