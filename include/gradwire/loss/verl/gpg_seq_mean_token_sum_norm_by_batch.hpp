// SPDX-License-Identifier: Apache-2.0
// verl's "gpg", divided by a constant length and by the number of sequences, as verl from 0.7.1 on does it (commit
// b8d91ef8d, 2026-02-26).
// Source: verl, verl/trainer/ppo/core_algos.py, loss_agg_mode "seq-mean-token-sum-norm"
//
//   L = Σ x / (B·loss_scale_factor), x as in gpg.hpp; B sequences without all-masked ones
//
// Up to 0.7.0 the source does not divide by B: gpg_seq_mean_token_sum_norm.
//
// Reads per token: logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/verl/gpg.hpp>

namespace gradwire::inline v0 {
namespace verl {

struct gpg_seq_mean_token_sum_norm_by_batch {
  using breaks_contract = broken<breaks<rule::padding_invariance, "the default divisor is the longest row">>;
  double loss_scale_factor = 0;  // L, tokens; 0: the length of the longest row, the source's padded width

  constexpr auto operator()() const {
    return reduced(sequence_mean_token_sum_per_width{loss_scale_factor}, gpg_term());
  }
};

}  // namespace verl
}  // namespace gradwire::inline v0
