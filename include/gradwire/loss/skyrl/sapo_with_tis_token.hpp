// SPDX-License-Identifier: Apache-2.0
// SkyRL's "sapo" with truncated importance sampling, tis_ratio_type "token".
// Source: SkyRL, …/skyrl_train/utils/off_policy_correction_utils.py
//
//   x·min(ρ, cap),   ρ = exp(clamp(old − sampler, ±20)); x and its reduction as in sapo.hpp
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/skyrl/sapo.hpp>

namespace gradwire::inline v0 {
namespace skyrl {

// sapo with the token's truncated ratio of policy and engine as its weight.
struct sapo_with_tis_token {
  double tau_pos = 1.0;                  // τ where A > 0, dimensionless
  double tau_neg = 1.05;                 // τ where A ≤ 0, dimensionless
  bound token_tis_ratio_clip_high{2.0};  // cap of ρ, dimensionless

  constexpr auto operator()() const {
    const auto rho = gradwire::rho(fields::old_logprobs, fields::sampler_logprobs, clamp_log_ratio{20});
    return reduced(sequence_mean_of_all, tis(sapo_term(tau_pos, tau_neg), rho, high(token_tis_ratio_clip_high)));
  }
};

}  // namespace skyrl
}  // namespace gradwire::inline v0
