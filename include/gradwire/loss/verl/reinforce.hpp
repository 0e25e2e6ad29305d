// SPDX-License-Identifier: Apache-2.0
// verl's bypass mode, loss_type "reinforce": the policy gradient, weighed by the ratio to the engine.
// Source: verl, verl/trainer/ppo/core_algos.py
//
//   x = −w·A·logprob,   w = 1, sg(min(r, C)) or sg(min(exp(clamp(Σ_t (logprob − sampler), ±20)), C)),
//   r = exp(clamp(logprob − sampler, ±20))
//
// reinforce: seq-mean-token-sum, 1/B over the sequences without all-masked ones, which is the default of the function
// alone; reinforce_token_mean: 1/N, which is what a run gets, since bypass mode hands on its loss_agg_mode
// (token-mean). With weights the names are the other way round: token mean, and …_seq_mean_token_sum_with_… for the
// other.
//
// Reads per token: logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/verl/vanilla_with_tis.hpp>

namespace gradwire::inline v0 {
namespace verl {

template <class Weight>
constexpr auto reinforce_term(const Weight& weight) {
  using namespace fields;
  return surrogate(-weight * advantage * logprobs, drift_metrics<masked_mean>(logprobs, sampler_logprobs));
}

// The plain policy gradient.
template <auto Reduce = sequence_mean_token_sum>
struct reinforce {
  constexpr auto operator()() const { return reduced(Reduce, reinforce_term(constant{1})); }
};
using reinforce_token_mean = reinforce<token_mean>;
template <auto Rho, auto Reduce>
struct reinforce_with_tis {
  bound rollout_is_threshold{2.0};  // C, cap of the ratio, dimensionless

  constexpr auto operator()() const {
    return reduced(Reduce,
                   reinforce_term(min(Rho(fields::logprobs, fields::sampler_logprobs), high(rollout_is_threshold))));
  }
};
using reinforce_with_tis_token = reinforce_with_tis<token_rho, token_mean>;
using reinforce_with_tis_sequence = reinforce_with_tis<sequence_rho, token_mean>;
using reinforce_seq_mean_token_sum_with_tis_token = reinforce_with_tis<token_rho, sequence_mean_token_sum>;
using reinforce_seq_mean_token_sum_with_tis_sequence = reinforce_with_tis<sequence_rho, sequence_mean_token_sum>;

}  // namespace verl
}  // namespace gradwire::inline v0
