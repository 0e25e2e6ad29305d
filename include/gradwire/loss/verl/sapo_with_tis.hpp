// SPDX-License-Identifier: Apache-2.0
// verl's "sapo" with truncated importance sampling, rollout_is "token" or "sequence".
// Source: verl, verl/trainer/ppo/core_algos.py, rollout_corr_helper.py
//
//   x·min(ρ, C),   ρ = exp(clamp(old − sampler, ±20)), of a sequence exp(clamp(Σ_t (old − sampler), ±20))
//
// x and its reduction as in sapo.hpp.
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/verl/sapo.hpp>
#include <gradwire/loss/verl/vanilla_with_tis.hpp>

namespace gradwire::inline v0 {
namespace verl {

template <auto Rho>
struct sapo_with_tis {
  double tau_pos = 1.0;             // τ where A > 0, dimensionless
  double tau_neg = 1.05;            // τ where A ≤ 0, dimensionless
  bound rollout_is_threshold{2.0};  // C, cap of ρ, dimensionless

  constexpr auto operator()() const {
    return reduced(sequence_mean_with_epsilon,
                   tis<masked_mean>(sapo_term(tau_pos, tau_neg), Rho(fields::old_logprobs, fields::sampler_logprobs),
                                    high(rollout_is_threshold)));
  }
};
// SAPO with the token's truncated ratio of policy and engine as its weight.
using sapo_with_tis_token = sapo_with_tis<token_rho>;
// … with the sequence's.
using sapo_with_tis_sequence = sapo_with_tis<sequence_rho>;

}  // namespace verl
}  // namespace gradwire::inline v0
