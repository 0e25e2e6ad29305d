// SPDX-License-Identifier: Apache-2.0
// OpenRLHF's policy loss corrected for the engine, type "tis".   source: OpenRLHF, openrlhf/models/loss.py PolicyLoss
//
//   x·clamp(ρ, low, high),   ρ = exp(old − sampler), x as in ppo.hpp
//
// 1/N over the N unmasked tokens (token_level_loss); …_sample_mean: 1/(B·(|y_i| + 1e-8)), B sequences without
// all-masked.
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/openrlhf/ppo.hpp>

namespace gradwire::inline v0 {
namespace openrlhf {

template <auto Reduce = token_mean>
struct ppo_with_tis {
  offset clip_eps_low{0.2};                     // trust region below 1, dimensionless
  offset clip_eps_high{0.2};                    // trust region above 1, dimensionless
  bound vllm_is_truncated_threshold_low{0.5};   // of ρ, dimensionless
  bound vllm_is_truncated_threshold_high{5.0};  // of ρ, dimensionless

  constexpr auto operator()() const {
    using namespace fields;
    const double from = low(vllm_is_truncated_threshold_low), to = high(vllm_is_truncated_threshold_high);
    const auto weight = tis_token(old_logprobs, sampler_logprobs, from, to);
    const auto cut = out_of_band(rho(old_logprobs, sampler_logprobs), from, to);
    return reduced(Reduce, weighted(ppo_term(clip_eps_low, clip_eps_high), weight, tis_mean(weight), ess(weight),
                                    tis_cap_frac(cut)));
  }
};
using ppo_with_tis_sample_mean = ppo_with_tis<sequence_mean_with_epsilon>;

}  // namespace openrlhf
}  // namespace gradwire::inline v0
