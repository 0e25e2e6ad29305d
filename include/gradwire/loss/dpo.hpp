// SPDX-License-Identifier: Apache-2.0
// Direct Preference Optimization.                                              source: arXiv:2305.18290
//
//   L = mean over pairs [ −(1−ε)·log σ(z) − ε·log σ(−z) ],   z = β·(u_chosen − u_rejected),   u = Σ_t w·(logprob − ref)
//
// Reads per token: logprobs, ref_logprobs (nats), weights. Data: group(chosen(c), rejected(r)).
#pragma once

#include <gradwire/expression.hpp>

namespace gradwire::inline v0 {

struct dpo {
  double beta = 0.1;             // β, inverse temperature of the implicit reward, per nat
  double label_smoothing = 0.0;  // ε, assumed share of swapped labels

  constexpr auto operator()() const {
    auto log_ratio = sum_over_tokens(fields::logprobs - fields::ref_logprobs);
    auto margin = let<"margin">(beta * (chosen(log_ratio) - rejected(log_ratio)));
    auto loss = (label_smoothing - 1) * log_sigmoid(margin) - label_smoothing * log_sigmoid(-margin);
    return objective(mean_over_pairs(loss), metric<"accuracy">(mean_over_pairs(margin > 0)),
                     metric<"margin">(mean_over_pairs(margin)));
  }
};

}  // namespace gradwire::inline v0
