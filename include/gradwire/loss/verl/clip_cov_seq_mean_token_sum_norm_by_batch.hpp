// SPDX-License-Identifier: Apache-2.0
// verl's "clip_cov", divided by a constant length and by the number of sequences, as verl from 0.7.1 on does it (commit
// b8d91ef8d, 2026-02-26).
// Source: verl, verl/trainer/ppo/core_algos.py, loss_agg_mode "seq-mean-token-sum-norm"
//
//   L = Σ x / (B·loss_scale_factor), x as in clip_cov.hpp; B sequences without all-masked ones
//
// Up to 0.7.0 the source does not divide by B: clip_cov_seq_mean_token_sum_norm.
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/verl/clip_cov.hpp>

namespace gradwire::inline v0 {
namespace verl {

struct clip_cov_seq_mean_token_sum_norm_by_batch {
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
    return reduced(sequence_mean_token_sum_per_width{loss_scale_factor},
                   gradwire::clip_cov_term<masked_mean>(fields::advantage, clip_ratio_low, clip_ratio_high,
                                                        {clip_cov_ratio, clip_cov_lb, clip_cov_ub, seed}));
  }
};

}  // namespace verl
}  // namespace gradwire::inline v0
