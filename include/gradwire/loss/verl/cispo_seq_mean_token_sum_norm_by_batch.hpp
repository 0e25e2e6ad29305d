// SPDX-License-Identifier: Apache-2.0
// verl's "cispo", divided by a constant length and by the number of sequences, as verl from 0.7.1 on does it (commit
// b8d91ef8d, 2026-02-26).
// Source: verl, verl/trainer/ppo/core_algos.py, loss_agg_mode "seq-mean-token-sum-norm"
//
//   L = Σ x / (B·loss_scale_factor), x as in cispo.hpp; B sequences without all-masked ones
//
// Up to 0.7.0 the source does not divide by B: cispo_seq_mean_token_sum_norm.
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/verl/cispo.hpp>

namespace gradwire::inline v0 {
namespace verl {

struct cispo_seq_mean_token_sum_norm_by_batch {
  using breaks_contract = broken<breaks<rule::padding_invariance, "the default divisor is the longest row">>;
  offset clip_ratio_low{0.2};    // trust region below 1, dimensionless
  offset clip_ratio_high{0.2};   // trust region above 1, dimensionless
  double loss_scale_factor = 0;  // L, tokens; 0: the length of the longest row, the source's padded width

  constexpr auto operator()() const {
    return reduced(sequence_mean_token_sum_per_width{loss_scale_factor}, cispo_term(clip_ratio_low, clip_ratio_high));
  }
};

}  // namespace verl
}  // namespace gradwire::inline v0
