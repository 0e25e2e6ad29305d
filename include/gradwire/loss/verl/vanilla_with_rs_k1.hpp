// SPDX-License-Identifier: Apache-2.0
// verl's "vanilla" with rejection by k1, rollout_rs "token_k1", "seq_sum_k1" or "seq_mean_k1".
// Source: verl, verl/trainer/ppo/rollout_corr_helper.py
//
//   L = Σ x / #kept over the tokens that are kept, x as in vanilla.hpp; d = clamp(old − sampler, ±20)
//   kept: log lower ≤ S ≤ log upper,   S = −d, Σ_t −d, or Σ_t −d / (n + 1e-8)
//
// The thresholds are on 1/ρ = sampler/old, not on ρ: 0.1 and 1.2 keep ρ in [0.833, 10].
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/verl.hpp>

namespace gradwire::inline v0 {
namespace verl {

template <auto Statistic>
struct vanilla_with_rs_k1 {
  offset clip_ratio_low{0.2};             // trust region below 1, dimensionless
  offset clip_ratio_high{0.2};            // trust region above 1, dimensionless
  bound clip_ratio_c{3.0};                // c, cap of the ratio where A < 0, dimensionless
  bound rollout_rs_threshold_lower{0.5};  // of 1/ρ, dimensionless; to be set, the source has no default
  bound rollout_rs_threshold_upper{2.0};  // of 1/ρ, dimensionless; to be set, the source has no default

  constexpr auto operator()() const {
    const auto keep =
        inside(exp(Statistic(k1_of())), low(rollout_rs_threshold_lower), high(rollout_rs_threshold_upper));
    return rejected_by(keep, vanilla_term(clip_ratio_low, clip_ratio_high, clip_ratio_c));
  }
};
using vanilla_with_token_k1 = vanilla_with_rs_k1<of_token>;
using vanilla_with_seq_sum_k1 = vanilla_with_rs_k1<summed>;
using vanilla_with_seq_mean_k1 = vanilla_with_rs_k1<averaged>;

}  // namespace verl
}  // namespace gradwire::inline v0
