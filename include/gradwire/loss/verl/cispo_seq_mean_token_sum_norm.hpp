// SPDX-License-Identifier: Apache-2.0
// verl's "cispo", divided by a constant length; …_by_batch: and by the number of sequences.
// Source: verl, verl/trainer/ppo/core_algos.py, loss_agg_mode "seq-mean-token-sum-norm"
//
//   L = Σ x / loss_scale_factor         as verl up to 0.7.0 does it (before commit b8d91ef8d, 2026-02-26)
//   L = Σ x / (B·loss_scale_factor)     …_by_batch, as it does from 0.7.1 on; B sequences without all-masked ones
//
// x as in cispo.hpp.
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/verl/cispo.hpp>

namespace gradwire::inline v0 {
namespace verl {

template <class Reduce>
struct cispo_per_width {
  using breaks_contract = broken<breaks<rule::padding_invariance, "the default divisor is the longest row">>;
  offset clip_ratio_low{0.2};    // trust region below 1, dimensionless
  offset clip_ratio_high{0.2};   // trust region above 1, dimensionless
  double loss_scale_factor = 0;  // L, tokens; 0: the length of the longest row, the source's padded width

  constexpr auto operator()() const {
    return reduced(Reduce{loss_scale_factor}, cispo_term(clip_ratio_low, clip_ratio_high));
  }
};
using cispo_seq_mean_token_sum_norm = cispo_per_width<token_sum_per_width>;
using cispo_seq_mean_token_sum_norm_by_batch = cispo_per_width<sequence_mean_token_sum_per_width>;

}  // namespace verl
}  // namespace gradwire::inline v0
