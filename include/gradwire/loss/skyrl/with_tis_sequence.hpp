// SPDX-License-Identifier: Apache-2.0
// SkyRL's truncated importance sampling, tis_ratio_type "sequence".
// Source: SkyRL, …/skyrl_train/utils/off_policy_correction_utils.py
//
//   x·min(ρ, cap),   ρ = exp(clamp(Σ_t (old − sampler), ±20)) of the sequence
//
// x and its reduction: regular (token_mean, or as the name says), gspo (sequence_mean, all-masked sequences counted).
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/skyrl/gspo.hpp>
#include <gradwire/loss/skyrl/regular.hpp>

namespace gradwire::inline v0 {
namespace skyrl {

template <auto Term, auto Reduce>
struct with_tis_sequence {
  offset eps_clip_low{0.2};                 // trust region below 1, dimensionless
  offset eps_clip_high{0.2};                // trust region above 1, dimensionless
  bound sequence_tis_ratio_clip_high{5.0};  // cap of a sequence's ρ, dimensionless

  constexpr auto operator()() const {
    const auto rho = rho_product(fields::old_logprobs, fields::sampler_logprobs, clamp_sequence_log_ratio{20});
    return reduced(Reduce, tis(Term(eps_clip_low, eps_clip_high), rho, high(sequence_tis_ratio_clip_high)));
  }
};
using regular_with_tis_sequence = with_tis_sequence<regular_term, token_mean>;
using regular_sequence_mean_with_tis_sequence = with_tis_sequence<regular_term, sequence_mean_of_all>;
using gspo_with_tis_sequence = with_tis_sequence<gspo_term, sequence_mean_of_all>;

}  // namespace skyrl
}  // namespace gradwire::inline v0
