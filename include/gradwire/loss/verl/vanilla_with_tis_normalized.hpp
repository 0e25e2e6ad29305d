// SPDX-License-Identifier: Apache-2.0
// verl's "vanilla" with truncated importance sampling, normalised over the batch.
// Source: verl, verl/trainer/ppo/rollout_corr_helper.py
//
//   L = 1/N Σ x·w / mean w,   w = min(ρ, C) as in vanilla_with_tis.hpp (rollout_is_batch_normalize)
//
// token: the mean is Σ w / (N + 1e-8); sequence: the mean over sequences (without all-masked ones) of w·n/(n + 1e-8).
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/verl/vanilla_with_tis.hpp>

namespace gradwire::inline v0 {
namespace verl {

template <auto Rho, auto Mean>
struct vanilla_with_tis_normalized {
  offset clip_ratio_low{0.2};       // trust region below 1, dimensionless
  offset clip_ratio_high{0.2};      // trust region above 1, dimensionless
  bound clip_ratio_c{3.0};          // c, cap of the ratio where A < 0, dimensionless
  bound rollout_is_threshold{2.0};  // C, cap of ρ, dimensionless

  constexpr auto operator()() const {
    const auto weight = min(Rho(fields::old_logprobs, fields::sampler_logprobs), high(rollout_is_threshold));
    return reduced(token_mean,
                   weighted(vanilla_term(clip_ratio_low, clip_ratio_high, clip_ratio_c), weight / Mean(weight),
                            tis_mean<masked_mean>(weight), ess<masked_mean>(weight)));
  }
};
using vanilla_with_tis_token_normalized = vanilla_with_tis_normalized<token_rho, masked_mean>;
using vanilla_with_tis_sequence_normalized = vanilla_with_tis_normalized<sequence_rho, sequence_mean_with_epsilon>;

}  // namespace verl
}  // namespace gradwire::inline v0
