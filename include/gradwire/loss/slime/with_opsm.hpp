// SPDX-License-Identifier: Apache-2.0
// slime's off-policy sequence masking, use_opsm.                 source: slime, slime/backends/megatron_utils/loss.py
//
//   x, and 0 in sequences with A < 0 and mean_t (old − logprob) > opsm_delta
//
// x is that of ppo.hpp, gspo.hpp or cispo.hpp; reduced by Σ_i (1/|y_i|) Σ_t, what is dropped counted in |y_i|.
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/slime/cispo.hpp>
#include <gradwire/loss/slime/gspo.hpp>
#include <gradwire/loss/slime/ppo.hpp>

namespace gradwire::inline v0 {
namespace slime {

template <auto Term>
struct with_opsm {
  offset eps_clip{0.2};             // trust region below 1, dimensionless
  offset eps_clip_high = eps_clip;  // trust region above 1, dimensionless
  double opsm_delta = 1e-4;         // of the mean log ratio, nats

  constexpr auto operator()() const {
    using namespace fields;
    const auto keep = opsm(advantage, logprobs, old_logprobs, opsm_delta);
    return reduced(sequence_mean_sum, kept(keep, Term(eps_clip, eps_clip_high), dropped_frac(keep)));
  }
};
using ppo_with_opsm = with_opsm<ppo_term>;
using gspo_with_opsm = with_opsm<gspo_term>;
using cispo_with_opsm = with_opsm<cispo_term>;

}  // namespace slime
}  // namespace gradwire::inline v0
