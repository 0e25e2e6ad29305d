// SPDX-License-Identifier: Apache-2.0
// verl's "dppo_kl", divided by a constant length and by the number of sequences; verl has this loss from 0.7.1 on,
// after its commit b8d91ef8d (2026-02-26) made this mode divide by B. Source: verl, verl/trainer/ppo/core_algos.py,
// loss_agg_mode "seq-mean-token-sum-norm"
//
//   L = Σ x / (B·loss_scale_factor), x as in dppo_kl.hpp; B sequences without all-masked ones
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/verl/dppo_kl.hpp>

namespace gradwire::inline v0 {
namespace verl {

struct dppo_kl_seq_mean_token_sum_norm {
  using breaks_contract = broken<breaks<rule::padding_invariance, "the default divisor is the longest row">>;
  double clip_ratio_low = 0.2;   // δ where A < 0, of the binary KL, nats
  double clip_ratio_high = 0.2;  // δ where A > 0, of the binary KL, nats
  bound clip_ratio_c{3.0};       // c, cap of the ratio, dimensionless
  double loss_scale_factor = 0;  // L, tokens; 0: the length of the longest row, the source's padded width

  constexpr auto operator()() const {
    return reduced(sequence_mean_token_sum_per_width{loss_scale_factor},
                   dppo_kl_term(clip_ratio_low, clip_ratio_high, clip_ratio_c));
  }
};

}  // namespace verl
}  // namespace gradwire::inline v0
