// SPDX-License-Identifier: Apache-2.0
// slime's truncated importance sampling, use_tis.                source: slime, slime/backends/megatron_utils/loss.py
//
//   x·clamp(ρ, tis_clip_low, tis_clip),   ρ = exp(old − sampler)
//
// x is that of ppo.hpp, gspo.hpp or cispo.hpp; reduced by Σ_i (1/|y_i|) Σ_t, what is dropped counted in |y_i|.
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/slime/cispo.hpp>
#include <gradwire/loss/slime/gspo.hpp>
#include <gradwire/loss/slime/ppo.hpp>

namespace gradwire::inline v0 {
namespace slime {

template <auto Term>
struct with_tis {
  offset eps_clip{0.2};             // trust region below 1, dimensionless
  offset eps_clip_high = eps_clip;  // trust region above 1, dimensionless
  bound tis_clip{2.0};              // ρ above which it is cut, dimensionless
  bound tis_clip_low{0.0};          // ρ below which it is raised, dimensionless

  constexpr auto operator()() const {
    const auto ratio = rho(fields::old_logprobs, fields::sampler_logprobs);
    return reduced(sequence_mean_sum, tis(Term(eps_clip, eps_clip_high), ratio, low(tis_clip_low), high(tis_clip)));
  }
};
using ppo_with_tis = with_tis<ppo_term>;
using gspo_with_tis = with_tis<gspo_term>;
using cispo_with_tis = with_tis<cispo_term>;

}  // namespace slime
}  // namespace gradwire::inline v0
