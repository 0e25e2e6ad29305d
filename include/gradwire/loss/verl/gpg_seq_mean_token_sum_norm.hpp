// SPDX-License-Identifier: Apache-2.0
// verl's "gpg", divided by a constant length; …_by_batch: and by the number of sequences.
// Source: verl, verl/trainer/ppo/core_algos.py, loss_agg_mode "seq-mean-token-sum-norm"
//
//   L = Σ x / loss_scale_factor         as verl up to 0.7.0 does it (before commit b8d91ef8d, 2026-02-26)
//   L = Σ x / (B·loss_scale_factor)     …_by_batch, as it does from 0.7.1 on; B sequences without all-masked ones
//
// x as in gpg.hpp.
//
// Reads per token: logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/verl/gpg.hpp>

namespace gradwire::inline v0 {
namespace verl {

template <class Reduce>
struct gpg_per_width {
  using breaks_contract = broken<breaks<rule::padding_invariance, "the default divisor is the longest row">>;
  double loss_scale_factor = 0;  // L, tokens; 0: the length of the longest row, the source's padded width

  constexpr auto operator()() const { return reduced(Reduce{loss_scale_factor}, gpg_term()); }
};
using gpg_seq_mean_token_sum_norm = gpg_per_width<token_sum_per_width>;
using gpg_seq_mean_token_sum_norm_by_batch = gpg_per_width<sequence_mean_token_sum_per_width>;

}  // namespace verl
}  // namespace gradwire::inline v0
