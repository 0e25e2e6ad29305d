// SPDX-License-Identifier: Apache-2.0
// SkyRL's "regular" without what lies in tokens with a ratio of policy and engine outside a band.
// Source: SkyRL, …/skyrl_train/utils/off_policy_correction_utils.py
//
//   x as in regular.hpp where low ≤ ρ ≤ high, ρ = exp(clamp(old − sampler, ±20)), else 0; R: 1/N over all N unmasked
//   tokens, the dropped ones counted
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/skyrl/regular.hpp>

namespace gradwire::inline v0 {
namespace skyrl {

struct regular_with_token_mask {
  offset eps_clip_low{0.2};                 // trust region below 1, dimensionless
  offset eps_clip_high{0.2};                // trust region above 1, dimensionless
  bound token_mask_is_threshold_low{0.5};   // ρ below which a token is dropped; the source has no default
  bound token_mask_is_threshold_high{2.0};  // ρ above which a token is dropped; the source has no default

  constexpr auto operator()() const {
    using namespace fields;
    const auto keep = token_ratio_mask(old_logprobs, sampler_logprobs, low(token_mask_is_threshold_low),
                                       high(token_mask_is_threshold_high), clamp_log_ratio{20});
    return reduced(token_mean, kept(keep, regular_term(eps_clip_low, eps_clip_high), dropped_frac(keep)));
  }
};

}  // namespace skyrl
}  // namespace gradwire::inline v0
