// SPDX-License-Identifier: Apache-2.0
// SkyRL's "regular" with truncated importance sampling per token and a mask: both are configured.
// Source: SkyRL, …/skyrl_train/utils/off_policy_correction_utils.py
//
//   x·min(ρ, cap) where low ≤ exp(clamp(mean_t (old − sampler), ±20)) ≤ high, else 0
//   ρ = exp(clamp(old − sampler, ±20)), x as in regular.hpp
//   R: 1/N over all N unmasked tokens, the dropped ones counted
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/skyrl/regular.hpp>

namespace gradwire::inline v0 {
namespace skyrl {

struct regular_with_tis_token_with_sequence_mask_geometric {
  offset eps_clip_low{0.2};              // trust region below 1, dimensionless
  offset eps_clip_high{0.2};             // trust region above 1, dimensionless
  bound token_tis_ratio_clip_high{2.0};  // cap of ρ, dimensionless
  bound geo_mask_low{0.99};              // geometric mean below which a sequence is dropped, dimensionless
  bound geo_mask_high{1.01};             // … above which, dimensionless

  constexpr auto operator()() const {
    using namespace fields;
    const auto weight = rho(old_logprobs, sampler_logprobs, clamp_log_ratio{20});
    const auto keep = sequence_mask_geometric(old_logprobs, sampler_logprobs, low(geo_mask_low), high(geo_mask_high),
                                              clamp_sequence_log_ratio{20});
    const auto x = tis(regular_term(eps_clip_low, eps_clip_high), weight, high(token_tis_ratio_clip_high));
    return reduced(token_mean, kept(keep, x, dropped_frac(keep)));
  }
};

}  // namespace skyrl
}  // namespace gradwire::inline v0
