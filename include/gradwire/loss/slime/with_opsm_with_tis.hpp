// SPDX-License-Identifier: Apache-2.0
// slime's off-policy sequence masking with its truncated importance sampling, use_opsm and use_tis.
// Source: slime, slime/backends/megatron_utils/loss.py
//
//   x·clamp(ρ, tis_clip_low, tis_clip), and 0 in sequences with A < 0 and mean_t (old − logprob) > opsm_delta
//   ρ = exp(old − sampler)
//
// x is that of ppo.hpp or gspo.hpp; reduced by Σ_i (1/|y_i|) Σ_t, what is dropped counted in |y_i|.
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/slime/gspo.hpp>
#include <gradwire/loss/slime/ppo.hpp>

namespace gradwire::inline v0 {
namespace slime {

template <auto Term>
struct with_opsm_with_tis {
  offset eps_clip{0.2};             // trust region below 1, dimensionless
  offset eps_clip_high = eps_clip;  // trust region above 1, dimensionless
  double opsm_delta = 1e-4;         // of the mean log ratio, nats
  bound tis_clip{2.0};              // ρ above which it is cut, dimensionless
  bound tis_clip_low{0.0};          // ρ below which it is raised, dimensionless

  constexpr auto operator()() const {
    using namespace fields;
    const auto keep = opsm(advantage, logprobs, old_logprobs, opsm_delta);
    const auto ratio = rho(old_logprobs, sampler_logprobs);
    const auto x = tis(Term(eps_clip, eps_clip_high), ratio, low(tis_clip_low), high(tis_clip));
    return reduced(sequence_mean_sum, kept(keep, x, dropped_frac(keep)));
  }
};
using ppo_with_opsm_with_tis = with_opsm_with_tis<ppo_term>;
using gspo_with_opsm_with_tis = with_opsm_with_tis<gspo_term>;

}  // namespace slime
}  // namespace gradwire::inline v0
