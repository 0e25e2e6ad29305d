// SPDX-License-Identifier: Apache-2.0
// SkyRL's policy loss "cispo", divided by a constant length: Dr. GRPO.
// Source: SkyRL, …/skyrl_train/utils/ppo_utils.py
//
//   L = Σ x / (B·max_seq_len), x as in cispo.hpp; B sequences, all-masked ones counted
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/skyrl/cispo.hpp>

namespace gradwire::inline v0 {
namespace skyrl {

struct cispo_seq_mean_token_sum_norm {
  offset cispo_eps_clip_low{1.0};   // trust region below 1, dimensionless
  offset cispo_eps_clip_high{4.0};  // trust region above 1, dimensionless
  double max_seq_len = 1;           // L, tokens; no default in the source: set it

  constexpr auto operator()() const {
    return reduced(sequence_mean_token_sum_per{max_seq_len},
                   cispo_term(fields::old_logprobs, cispo_eps_clip_low, cispo_eps_clip_high));
  }
};

}  // namespace skyrl
}  // namespace gradwire::inline v0
