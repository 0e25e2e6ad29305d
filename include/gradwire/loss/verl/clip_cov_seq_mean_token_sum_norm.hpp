// SPDX-License-Identifier: Apache-2.0
// verl's "clip_cov", divided by a constant length; …_by_batch: and by the number of sequences.
// Source: verl, verl/trainer/ppo/core_algos.py, loss_agg_mode "seq-mean-token-sum-norm"
//
//   L = Σ x / loss_scale_factor         as verl up to 0.7.0 does it (before commit b8d91ef8d, 2026-02-26)
//   L = Σ x / (B·loss_scale_factor)     …_by_batch, as it does from 0.7.1 on; B sequences without all-masked ones
//
// x as in clip_cov.hpp.
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/verl/clip_cov.hpp>

namespace gradwire::inline v0 {
namespace verl {

template <class Reduce>
struct clip_cov_per_width {
  using breaks_contract = broken<breaks<rule::on_policy_identity, "a chosen token is dropped">,
                                 breaks<rule::scale, "the band of covariances is in reward units">,
                                 breaks<rule::padding_invariance, "the default divisor is the longest row">>;
  offset clip_ratio_low{0.2};      // trust region below 1, dimensionless
  offset clip_ratio_high{0.2};     // trust region above 1, dimensionless
  double clip_cov_ratio = 0.0002;  // share of the tokens that are dropped
  double clip_cov_lb = 1.0;        // covariance above which a token can be dropped, reward units · nats
  double clip_cov_ub = 5.0;        // … and below which
  int seed = 0;                    // of the choice
  double loss_scale_factor = 0;    // L, tokens; 0: the length of the longest row, the source's padded width

  constexpr auto operator()() const {
    return reduced(Reduce{loss_scale_factor},
                   gradwire::clip_cov_term<masked_mean>(fields::advantage, clip_ratio_low, clip_ratio_high,
                                                        {clip_cov_ratio, clip_cov_lb, clip_cov_ub, seed}));
  }
};
using clip_cov_seq_mean_token_sum_norm = clip_cov_per_width<token_sum_per_width>;
using clip_cov_seq_mean_token_sum_norm_by_batch = clip_cov_per_width<sequence_mean_token_sum_per_width>;

}  // namespace verl
}  // namespace gradwire::inline v0
