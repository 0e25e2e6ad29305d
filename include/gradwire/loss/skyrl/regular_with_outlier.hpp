// SPDX-License-Identifier: Apache-2.0
// SkyRL's "regular" without what lies in sequences with an outlier.
// Source: SkyRL, …/skyrl_train/utils/off_policy_correction_utils.py
//
//   x as in regular.hpp where every token of the sequence has low ≤ ρ ≤ high, ρ = exp(clamp(old − sampler, ±20)), else
//   0; R: 1/N over all N unmasked tokens, the dropped ones counted
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/skyrl/regular.hpp>

namespace gradwire::inline v0 {
namespace skyrl {

struct regular_with_outlier {
  offset eps_clip_low{0.2};                      // trust region below 1, dimensionless
  offset eps_clip_high{0.2};                     // trust region above 1, dimensionless
  bound outlier_token_is_threshold_low{1e-4};    // ρ below which a token drops its sequence; suggested, off by default
  bound outlier_token_is_threshold_high{100.0};  // ρ above which; suggested, off by default

  constexpr auto operator()() const {
    using namespace fields;
    const auto keep = outlier_mask(old_logprobs, sampler_logprobs, low(outlier_token_is_threshold_low),
                                   high(outlier_token_is_threshold_high), clamp_log_ratio{20});
    return reduced(token_mean, kept(keep, regular_term(eps_clip_low, eps_clip_high), dropped_frac(keep)));
  }
};

}  // namespace skyrl
}  // namespace gradwire::inline v0
