// SPDX-License-Identifier: Apache-2.0
// SkyRL's "dual_clip" with truncated importance sampling, tis_ratio_type "token".
// Source: SkyRL, …/skyrl_train/utils/off_policy_correction_utils.py
//
//   x·min(ρ, cap),   ρ = exp(clamp(old − sampler, ±20)); x and its reduction as in dual_clip.hpp
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/skyrl/dual_clip.hpp>

namespace gradwire::inline v0 {
namespace skyrl {

// dual_clip with the token's truncated ratio of policy and engine as its weight.
struct dual_clip_with_tis_token {
  offset eps_clip_low{0.2};              // trust region below 1, dimensionless
  offset eps_clip_high{0.2};             // trust region above 1, dimensionless
  bound clip_ratio_c{3.0};               // c, cap of the ratio where A < 0, dimensionless
  bound token_tis_ratio_clip_high{2.0};  // cap of ρ, dimensionless

  constexpr auto operator()() const {
    const auto rho = gradwire::rho(fields::old_logprobs, fields::sampler_logprobs, clamp_log_ratio{20});
    return reduced(token_mean, tis(dual_clip_term(eps_clip_low, eps_clip_high, clip_ratio_c), rho,
                                   high(token_tis_ratio_clip_high)));
  }
};

}  // namespace skyrl
}  // namespace gradwire::inline v0
