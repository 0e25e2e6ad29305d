// SPDX-License-Identifier: Apache-2.0
// verl's "vanilla" with truncated importance sampling, rollout_is "token" or "sequence".
// Source: verl, verl/trainer/ppo/rollout_corr_helper.py
//
//   L = R[x·min(ρ, C)],   ρ = exp(clamp(old − sampler, ±20)), of a sequence exp(clamp(Σ_t (old − sampler), ±20))
//
// x and R as in vanilla.hpp: token mean, or as the name says. The metrics of the weights are those of the truncated
// ones.
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/verl.hpp>

namespace gradwire::inline v0 {
namespace verl {

inline constexpr auto token_rho = [](auto old, auto sampler) { return rho(old, sampler, clamp_log_ratio{20}); };
inline constexpr auto sequence_rho = [](auto old, auto sampler) {
  return rho_product(old, sampler, clamp_sequence_log_ratio{20});
};
template <auto Rho, auto Reduce = token_mean>
struct vanilla_with_tis {
  offset clip_ratio_low{0.2};       // trust region below 1, dimensionless
  offset clip_ratio_high{0.2};      // trust region above 1, dimensionless
  bound clip_ratio_c{3.0};          // c, cap of the ratio where A < 0, dimensionless
  bound rollout_is_threshold{2.0};  // C, cap of ρ, dimensionless

  constexpr auto operator()() const {
    return reduced(Reduce,
                   tis<masked_mean>(vanilla_term(clip_ratio_low, clip_ratio_high, clip_ratio_c),
                                    Rho(fields::old_logprobs, fields::sampler_logprobs), high(rollout_is_threshold)));
  }
};
using vanilla_with_tis_token = vanilla_with_tis<token_rho>;
using vanilla_with_tis_sequence = vanilla_with_tis<sequence_rho>;
using vanilla_seq_mean_token_sum_with_tis_token = vanilla_with_tis<token_rho, sequence_mean_token_sum>;
using vanilla_seq_mean_token_sum_with_tis_sequence = vanilla_with_tis<sequence_rho, sequence_mean_token_sum>;
using vanilla_seq_mean_token_mean_with_tis_token = vanilla_with_tis<token_rho, sequence_mean_with_epsilon>;
using vanilla_seq_mean_token_mean_with_tis_sequence = vanilla_with_tis<sequence_rho, sequence_mean_with_epsilon>;

}  // namespace verl
}  // namespace gradwire::inline v0
