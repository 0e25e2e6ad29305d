// SPDX-License-Identifier: Apache-2.0
// Alignment via optimal transport: what is compared is sorted over the batch.   source: TRL, trainer/dpo_trainer.py
//
//   L = mean over pairs −(1−ε)·log σ(βd) − ε·log σ(−βd),      d_i = i-th smallest a − i-th smallest b
//   aot:            a = Σ logprob_c − Σ logprob_j,  b = the same of ref_logprobs         (Σ_t w·…, nats)
//   aot_unpaired:   a = u_c,                        b = u_j,      u = Σ_t w·(logprob − ref_logprob)
//
// Divisor: pairs with any w ≠ 0. Reads per token: logprobs, ref_logprobs (nats), weights. Data: group(chosen(c),
// rejected(r)). Paper: arXiv:2406.05882.
#pragma once

#include <gradwire/expression/order.hpp>
#include <gradwire/loss/parts/preference.hpp>

namespace gradwire::inline v0 {
namespace trl {

// loss_type aot.
struct dpo_aot {
  using breaks_contract = broken<breaks<rule::chunk_invariance, "the order is that of the whole batch">>;
  double beta = 0.1;             // β, inverse temperature, per nat of the summed log ratio
  double label_smoothing = 0.0;  // ε, assumed share of swapped labels

  constexpr auto operator()() const {
    const auto policy = of_pair(sum_over_tokens(fields::logprobs)).margin();
    const auto reference = of_pair(sum_over_tokens(fields::ref_logprobs)).margin();
    const auto d = sort_over_batch(policy) - sort_over_batch(reference);
    return with_rewards(mean_over_pairs(logistic(beta * d, label_smoothing)), beta * of_pair(log_ratio()));
  }
};

// loss_type aot_unpaired.
struct dpo_aot_unpaired {
  using breaks_contract = broken<breaks<rule::chunk_invariance, "the order is that of the whole batch">>;
  double beta = 0.1;             // β, inverse temperature, per nat of the summed log ratio
  double label_smoothing = 0.0;  // ε, assumed share of swapped labels

  constexpr auto operator()() const {
    const auto u = of_pair(log_ratio());
    const auto d = sort_over_batch(u.chosen) - sort_over_batch(u.rejected);
    return with_rewards(mean_over_pairs(logistic(beta * d, label_smoothing)), beta * u);
  }
};

}  // namespace trl
}  // namespace gradwire::inline v0
