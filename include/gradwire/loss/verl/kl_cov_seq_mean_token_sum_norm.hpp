// SPDX-License-Identifier: Apache-2.0
// verl's "kl_cov", divided by a constant length; …_by_batch: and by the number of sequences.
// Source: verl, verl/trainer/ppo/core_algos.py, loss_agg_mode "seq-mean-token-sum-norm"
//
//   L = Σ x / loss_scale_factor         as verl up to 0.7.0 does it (before commit b8d91ef8d, 2026-02-26)
//   L = Σ x / (B·loss_scale_factor)     …_by_batch, as it does from 0.7.1 on; B sequences without all-masked ones
//
// x as in kl_cov.hpp.
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/verl/kl_cov.hpp>

namespace gradwire::inline v0 {
namespace verl {

template <class Reduce>
struct kl_cov_per_width {
  using breaks_contract = broken<breaks<rule::scale, "the KL term of the chosen tokens does not scale with A">,
                                 breaks<rule::zero_advantage, "the KL term stays where A = 0">,
                                 breaks<rule::padding_invariance, "the default divisor is the longest row">>;
  double kl_cov_ratio = 0.0002;  // share of the tokens with a KL term
  double ppo_kl_coef = 0.1;      // c, weight of the KL term, per nat
  double loss_scale_factor = 0;  // L, tokens; 0: the length of the longest row, the source's padded width

  constexpr auto operator()() const {
    return reduced(Reduce{loss_scale_factor},
                   gradwire::kl_cov_term<masked_mean>(fields::advantage, kl_cov_ratio, ppo_kl_coef));
  }
};
using kl_cov_seq_mean_token_sum_norm = kl_cov_per_width<token_sum_per_width>;
using kl_cov_seq_mean_token_sum_norm_by_batch = kl_cov_per_width<sequence_mean_token_sum_per_width>;

}  // namespace verl
}  // namespace gradwire::inline v0
