// SPDX-License-Identifier: Apache-2.0
// SkyRL's "cispo" with truncated importance sampling, tis_ratio_type "token".
// Source: SkyRL, …/skyrl_train/utils/off_policy_correction_utils.py
//
//   x·min(ρ, cap),   ρ = exp(clamp(old − sampler, ±20)); x and its reduction as in cispo.hpp
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/skyrl/cispo.hpp>

namespace gradwire::inline v0 {
namespace skyrl {

// cispo with the token's truncated ratio of policy and engine as its weight.
struct cispo_with_tis_token {
  offset cispo_eps_clip_low{1.0};        // trust region below 1, dimensionless
  offset cispo_eps_clip_high{4.0};       // trust region above 1, dimensionless
  bound token_tis_ratio_clip_high{2.0};  // cap of ρ, dimensionless

  constexpr auto operator()() const {
    const auto rho = gradwire::rho(fields::old_logprobs, fields::sampler_logprobs, clamp_log_ratio{20});
    return reduced(token_mean, tis(cispo_term(fields::old_logprobs, cispo_eps_clip_low, cispo_eps_clip_high), rho,
                                   high(token_tis_ratio_clip_high)));
  }
};

}  // namespace skyrl
}  // namespace gradwire::inline v0
