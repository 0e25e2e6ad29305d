// SPDX-License-Identifier: Apache-2.0
// SkyRL's policy loss "sapo", divided by a constant length: Dr. GRPO.
// Source: SkyRL, …/skyrl_train/utils/ppo_utils.py
//
//   L = Σ x / (B·max_seq_len), x as in sapo.hpp; B sequences, all-masked ones counted
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/skyrl/sapo.hpp>

namespace gradwire::inline v0 {
namespace skyrl {

struct sapo_seq_mean_token_sum_norm {
  double tau_pos = 1.0;    // τ where A > 0, dimensionless
  double tau_neg = 1.05;   // τ where A ≤ 0, dimensionless
  double max_seq_len = 1;  // L, tokens; no default in the source: set it

  constexpr auto operator()() const {
    return reduced(sequence_mean_token_sum_per{max_seq_len}, sapo_term(tau_pos, tau_neg));
  }
};

}  // namespace skyrl
}  // namespace gradwire::inline v0
