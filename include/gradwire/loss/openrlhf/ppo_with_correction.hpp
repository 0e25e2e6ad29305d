// SPDX-License-Identifier: Apache-2.0
// OpenRLHF's policy loss corrected for the engine, types "tis", "icepop" and "seq-mask-tis".
// Source: OpenRLHF, openrlhf/models/loss.py PolicyLoss
//
//   tis            x·clamp(ρ, low, high)
//   icepop         x·ρ·1[low ≤ ρ ≤ high]
//   seq_mask_tis   x·ρ in sequences with low ≤ exp(mean_t (old − sampler)) ≤ high, 0 in others; ρ is not clamped,
//                  though the source's comment says so
//
// ρ = exp(old − sampler), x as in ppo.hpp.
//
// 1/N over the N unmasked tokens (token_level_loss); …_sample_mean: 1/(B·(|y_i| + 1e-8)), B sequences without
// all-masked ones.
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/openrlhf/ppo.hpp>
#include <gradwire/loss/parts/openrlhf.hpp>

namespace gradwire::inline v0 {
namespace openrlhf {

template <auto Correct, auto Reduce = token_mean>
struct ppo_with_correction {
  offset clip_eps_low{0.2};                     // trust region below 1, dimensionless
  offset clip_eps_high{0.2};                    // trust region above 1, dimensionless
  bound vllm_is_truncated_threshold_low{0.5};   // of ρ, dimensionless
  bound vllm_is_truncated_threshold_high{5.0};  // of ρ, dimensionless

  constexpr auto operator()() const {
    return reduced(Reduce, Correct(ppo_term(clip_eps_low, clip_eps_high), low(vllm_is_truncated_threshold_low),
                                   high(vllm_is_truncated_threshold_high)));
  }
};
using ppo_with_tis = ppo_with_correction<tis_correction>;
using ppo_with_tis_sample_mean = ppo_with_correction<tis_correction, sequence_mean_with_epsilon>;
using ppo_with_icepop = ppo_with_correction<icepop_correction>;
using ppo_with_icepop_sample_mean = ppo_with_correction<icepop_correction, sequence_mean_with_epsilon>;
using ppo_with_seq_mask_tis = ppo_with_correction<seq_mask_tis_correction>;
using ppo_with_seq_mask_tis_sample_mean = ppo_with_correction<seq_mask_tis_correction, sequence_mean_with_epsilon>;

}  // namespace openrlhf
}  // namespace gradwire::inline v0
