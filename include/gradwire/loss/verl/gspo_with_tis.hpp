// SPDX-License-Identifier: Apache-2.0
// verl's "gspo" with truncated importance sampling, rollout_is "token" or "sequence".
// Source: verl, verl/trainer/ppo/core_algos.py, rollout_corr_helper.py
//
//   x·min(ρ, C),   ρ = exp(clamp(old − sampler, ±20)), of a sequence exp(clamp(Σ_t (old − sampler), ±20))
//
// x and its reduction as in gspo.hpp.
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/verl/gspo.hpp>
#include <gradwire/loss/verl/vanilla_with_tis.hpp>

namespace gradwire::inline v0 {
namespace verl {

template <auto Rho>
struct gspo_with_tis {
  offset clip_ratio_low{0.2};       // trust region below 1, dimensionless
  offset clip_ratio_high{0.2};      // trust region above 1, dimensionless
  bound rollout_is_threshold{2.0};  // C, cap of ρ, dimensionless

  constexpr auto operator()() const {
    return reduced(sequence_mean_with_epsilon,
                   tis<masked_mean>(gspo_term(clip_ratio_low, clip_ratio_high),
                                    Rho(fields::old_logprobs, fields::sampler_logprobs), high(rollout_is_threshold)));
  }
};
// GSPO with the token's truncated ratio of policy and engine as its weight.
using gspo_with_tis_token = gspo_with_tis<token_rho>;
// … with the sequence's.
using gspo_with_tis_sequence = gspo_with_tis<sequence_rho>;

}  // namespace verl
}  // namespace gradwire::inline v0
