// SPDX-License-Identifier: Apache-2.0
// verl's "vanilla" with IcePop: a rollout_is_threshold "lower_upper".
// Source: verl, verl/trainer/ppo/rollout_corr_helper.py
//
//   L = 1/N Σ x·ρ·1[lower ≤ ρ ≤ upper],   ρ = exp(clamp(old − sampler, ±20)), x as in vanilla.hpp
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/verl.hpp>

namespace gradwire::inline v0 {
namespace verl {

struct vanilla_with_icepop {
  offset clip_ratio_low{0.2};             // trust region below 1, dimensionless
  offset clip_ratio_high{0.2};            // trust region above 1, dimensionless
  bound clip_ratio_c{3.0};                // c, cap of the ratio where A < 0, dimensionless
  bound rollout_is_threshold_lower{0.5};  // ρ below which a token's weight is 0, dimensionless; to be set
  bound rollout_is_threshold_upper{2.0};  // ρ above which it is 0, dimensionless

  constexpr auto operator()() const {
    const auto weight = icepop(fields::old_logprobs, fields::sampler_logprobs, low(rollout_is_threshold_lower),
                               high(rollout_is_threshold_upper), clamp_log_ratio{20});
    return reduced(token_mean, weighted(vanilla_term(clip_ratio_low, clip_ratio_high, clip_ratio_c), weight,
                                        tis_mean<masked_mean>(weight), ess<masked_mean>(weight)));
  }
};

}  // namespace verl
}  // namespace gradwire::inline v0
