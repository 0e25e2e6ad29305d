// SPDX-License-Identifier: Apache-2.0
// SkyRL's "regular", divided by a constant length, with truncated importance sampling, tis_ratio_type "token".
// Source: SkyRL, …/skyrl_train/utils/ppo_utils.py, off_policy_correction_utils.py
//
//   L = Σ x·min(ρ, cap) / (B·max_seq_len),   ρ = exp(clamp(old − sampler, ±20)), x as in regular.hpp
//   B sequences, all-masked ones counted
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/skyrl/regular.hpp>

namespace gradwire::inline v0 {
namespace skyrl {

// Dr. GRPO with the token's truncated ratio of policy and engine as its weight.
struct regular_seq_mean_token_sum_norm_with_tis_token {
  offset eps_clip_low{0.2};              // trust region below 1, dimensionless
  offset eps_clip_high{0.2};             // trust region above 1, dimensionless
  bound token_tis_ratio_clip_high{2.0};  // cap of ρ, dimensionless
  double max_seq_len = 1;                // L, tokens; no default in the source: set it

  constexpr auto operator()() const {
    const auto rho = gradwire::rho(fields::old_logprobs, fields::sampler_logprobs, clamp_log_ratio{20});
    return reduced(sequence_mean_token_sum_per{max_seq_len},
                   tis(regular_term(eps_clip_low, eps_clip_high), rho, high(token_tis_ratio_clip_high)));
  }
};

}  // namespace skyrl
}  // namespace gradwire::inline v0
