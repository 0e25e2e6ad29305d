// SPDX-License-Identifier: Apache-2.0
// verl's "gpg", divided by a constant length, as verl up to 0.7.0 does it (before commit b8d91ef8d, 2026-02-26).
// Source: verl, verl/trainer/ppo/core_algos.py, loss_agg_mode "seq-mean-token-sum-norm"
//
//   L = Σ x / loss_scale_factor, x as in gpg.hpp; not divided by the number of sequences
//
// From 0.7.1 on the source divides by it: gpg_seq_mean_token_sum_norm_by_batch.
//
// Reads per token: logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/verl/gpg.hpp>

namespace gradwire::inline v0 {
namespace verl {

struct gpg_seq_mean_token_sum_norm {
  using breaks_contract = broken<breaks<rule::padding_invariance, "the default divisor is the longest row">>;
  double loss_scale_factor = 0;  // L, tokens; 0: the length of the longest row, the source's padded width

  constexpr auto operator()() const { return reduced(token_sum_per_width{loss_scale_factor}, gpg_term()); }
};

}  // namespace verl
}  // namespace gradwire::inline v0
