// SPDX-License-Identifier: Apache-2.0
// SkyRL's policy loss "dppo" with dppo_type "binary_kl", divided by a constant length: Dr. GRPO.
// Source: SkyRL, …/skyrl_train/utils/ppo_utils.py
//
//   L = Σ x / (B·max_seq_len), x as in dppo_kl.hpp; B sequences, all-masked ones counted
//
// Reads per token: logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/skyrl/dppo_kl.hpp>

namespace gradwire::inline v0 {
namespace skyrl {

struct dppo_kl_seq_mean_token_sum_norm {
  double delta_low = 0.2;   // δ of the binary KL where A < 0, nats
  double delta_high = 0.2;  // δ of the binary KL where A > 0, nats
  double max_seq_len = 1;   // L, tokens; no default in the source: set it

  constexpr auto operator()() const {
    return reduced(sequence_mean_token_sum_per{max_seq_len}, dppo_kl_term(delta_low, delta_high));
  }
};

}  // namespace skyrl
}  // namespace gradwire::inline v0
