// SPDX-License-Identifier: Apache-2.0
// OpenRLHF's policy loss with dual clip, corrected for the engine, types "tis", "icepop" and "seq-mask-tis".
// Source: OpenRLHF, openrlhf/models/loss.py PolicyLoss
//
//   tis            x·clamp(ρ, low, high)
//   icepop         x·ρ·1[low ≤ ρ ≤ high]
//   seq_mask_tis   x·ρ in sequences with low ≤ exp(mean_t (old − sampler)) ≤ high, 0 in others
//
// ρ = exp(old − sampler), x as in ppo_dual_clip.hpp.
//
// 1/N over the N unmasked tokens (token_level_loss).
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/openrlhf/ppo_dual_clip.hpp>
#include <gradwire/loss/parts/openrlhf.hpp>

namespace gradwire::inline v0 {
namespace openrlhf {

// PPO with dual clip, corrected for the engine.
template <auto Correct, auto Reduce = token_mean>
struct ppo_dual_clip_with_correction {
  offset clip_eps_low{0.2};                     // trust region below 1, dimensionless
  offset clip_eps_high{0.2};                    // trust region above 1, dimensionless
  bound dual_clip{3.0};                         // c, cap of the ratio where A < 0, dimensionless; off by default
  bound vllm_is_truncated_threshold_low{0.5};   // of ρ, dimensionless
  bound vllm_is_truncated_threshold_high{5.0};  // of ρ, dimensionless

  constexpr auto operator()() const {
    return reduced(Reduce, Correct(ppo_dual_clip_term(clip_eps_low, clip_eps_high, dual_clip),
                                   low(vllm_is_truncated_threshold_low), high(vllm_is_truncated_threshold_high)));
  }
};
using ppo_dual_clip_with_tis = ppo_dual_clip_with_correction<tis_correction>;
using ppo_dual_clip_with_icepop = ppo_dual_clip_with_correction<icepop_correction>;
using ppo_dual_clip_with_seq_mask_tis = ppo_dual_clip_with_correction<seq_mask_tis_correction>;

}  // namespace openrlhf
}  // namespace gradwire::inline v0
