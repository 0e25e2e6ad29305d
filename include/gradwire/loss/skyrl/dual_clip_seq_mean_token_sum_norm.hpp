// SPDX-License-Identifier: Apache-2.0
// SkyRL's policy loss "dual_clip", divided by a constant length: Dr. GRPO.
// Source: SkyRL, …/skyrl_train/utils/ppo_utils.py
//
//   L = Σ x / (B·max_seq_len), x as in dual_clip.hpp; B sequences, all-masked ones counted
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/skyrl/dual_clip.hpp>

namespace gradwire::inline v0 {
namespace skyrl {

struct dual_clip_seq_mean_token_sum_norm {
  offset eps_clip_low{0.2};   // trust region below 1, dimensionless
  offset eps_clip_high{0.2};  // trust region above 1, dimensionless
  bound clip_ratio_c{3.0};    // c, cap of the ratio where A < 0, dimensionless
  double max_seq_len = 1;     // L, tokens; no default in the source: set it

  constexpr auto operator()() const {
    return reduced(sequence_mean_token_sum_per{max_seq_len}, dual_clip_term(eps_clip_low, eps_clip_high, clip_ratio_c));
  }
};

}  // namespace skyrl
}  // namespace gradwire::inline v0
