// SPDX-License-Identifier: Apache-2.0
// OpenRLHF's policy loss with dual clip, corrected for the engine, type "tis".
// Source: OpenRLHF, openrlhf/models/loss.py PolicyLoss
//
//   x·clamp(ρ, low, high),   ρ = exp(old − sampler), x as in ppo_dual_clip.hpp
//
// 1/N over the N unmasked tokens (token_level_loss).
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/openrlhf/ppo_dual_clip.hpp>

namespace gradwire::inline v0 {
namespace openrlhf {

// PPO with dual clip, corrected for the engine.
struct ppo_dual_clip_with_tis {
  offset clip_eps_low{0.2};                     // trust region below 1, dimensionless
  offset clip_eps_high{0.2};                    // trust region above 1, dimensionless
  bound dual_clip{3.0};                         // c, cap of the ratio where A < 0, dimensionless; off by default
  bound vllm_is_truncated_threshold_low{0.5};   // of ρ, dimensionless
  bound vllm_is_truncated_threshold_high{5.0};  // of ρ, dimensionless

  constexpr auto operator()() const {
    using namespace fields;
    const double from = low(vllm_is_truncated_threshold_low), to = high(vllm_is_truncated_threshold_high);
    const auto weight = tis_token(old_logprobs, sampler_logprobs, from, to);
    const auto cut = out_of_band(rho(old_logprobs, sampler_logprobs), from, to);
    return reduced(token_mean, weighted(ppo_dual_clip_term(clip_eps_low, clip_eps_high, dual_clip), weight,
                                        tis_mean(weight), ess(weight), tis_cap_frac(cut)));
  }
};

}  // namespace openrlhf
}  // namespace gradwire::inline v0
