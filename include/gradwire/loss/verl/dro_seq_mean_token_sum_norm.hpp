// SPDX-License-Identifier: Apache-2.0
// verl's "dro", divided by a constant length and by the number of sequences; verl has this loss from 0.9.0 on, after
// its commit b8d91ef8d (2026-02-26) made this mode divide by B.
// Source: verl, verl/trainer/ppo/core_algos.py, loss_agg_mode "seq-mean-token-sum-norm"
//
//   L = Σ x / (B·loss_scale_factor), x as in dro.hpp; B sequences without all-masked ones
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/verl/dro.hpp>

namespace gradwire::inline v0 {
namespace verl {

struct dro_seq_mean_token_sum_norm {
  using breaks_contract = broken<breaks<rule::padding_invariance, "the default divisor is the longest row">>;
  double dro_beta =
      0.01;  // β, weight of the quadratic term, reward units per nat; to be set, the source has no default
  double loss_scale_factor = 0;  // L, tokens; 0: the length of the longest row, the source's padded width

  constexpr auto operator()() const {
    return reduced(sequence_mean_token_sum_per_width{loss_scale_factor}, dro_term(dro_beta));
  }
};

}  // namespace verl
}  // namespace gradwire::inline v0
