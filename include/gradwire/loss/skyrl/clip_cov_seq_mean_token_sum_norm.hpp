// SPDX-License-Identifier: Apache-2.0
// SkyRL's policy loss "clip_cov", divided by a constant length: Dr. GRPO.
// Source: SkyRL, …/skyrl_train/utils/ppo_utils.py
//
//   L = Σ x / (B·max_seq_len), x as in clip_cov.hpp; B sequences, all-masked ones counted
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/skyrl/clip_cov.hpp>

namespace gradwire::inline v0 {
namespace skyrl {

struct clip_cov_seq_mean_token_sum_norm {
  offset eps_clip_low{0.2};    // trust region below 1, dimensionless
  offset eps_clip_high{0.2};   // trust region above 1, dimensionless
  double clip_ratio = 0.0002;  // share of the tokens that are dropped
  double clip_cov_lb = 1.0;    // covariance above which a token can be dropped, reward units · nats
  double clip_cov_ub = 5.0;    // … and below which
  int seed = 0;                // of the choice
  double max_seq_len = 1;      // L, tokens; no default in the source: set it

  constexpr auto operator()() const {
    return reduced(sequence_mean_token_sum_per{max_seq_len},
                   clip_cov_term(fields::advantage * sequence_mean_token_sum_per{max_seq_len}.share(), eps_clip_low,
                                 eps_clip_high, {clip_ratio, clip_cov_lb, clip_cov_ub, seed}));
  }
};

}  // namespace skyrl
}  // namespace gradwire::inline v0
