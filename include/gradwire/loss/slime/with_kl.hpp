// SPDX-License-Identifier: Apache-2.0
// slime's policy loss with its KL loss to the reference, use_kl_loss.
// Source: slime, slime/backends/megatron_utils/loss.py
//
//   L = R[x] + kl_loss_coef·R[kl],   x as in ppo.hpp, gspo.hpp or cispo.hpp, kl as in kl.hpp and kl_unbiased.hpp, R =
//   Σ_i (1/|y_i|) Σ_t
//
// Reads per token: logprobs, old_logprobs, ref_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/slime/cispo.hpp>
#include <gradwire/loss/slime/gspo.hpp>
#include <gradwire/loss/slime/kl_unbiased.hpp>
#include <gradwire/loss/slime/ppo.hpp>

namespace gradwire::inline v0 {
namespace slime {

template <auto Term, class Kl>
struct with_kl {
  offset eps_clip{0.2};             // trust region below 1, dimensionless
  offset eps_clip_high = eps_clip;  // trust region above 1, dimensionless
  double kl_loss_coef = 0.0;        // weight of the KL to the reference, per nat; 0 as in the source: set it

  constexpr auto operator()() const {
    return reduced(sequence_mean_sum, Term(eps_clip, eps_clip_high)) +
           sequence_mean_sum(weighted_kl(kl_loss_coef, Kl::term()));
  }
};
using ppo_with_kl_k1 = with_kl<ppo_term, kl_k1>;
using ppo_with_kl_k2 = with_kl<ppo_term, kl_k2>;
using ppo_with_kl_k3 = with_kl<ppo_term, kl_k3>;
using ppo_with_kl_low_var = with_kl<ppo_term, kl_low_var>;
using ppo_with_kl_low_var_unbiased = with_kl<ppo_term, kl_low_var_unbiased>;
using gspo_with_kl_k1 = with_kl<gspo_term, kl_k1>;
using gspo_with_kl_low_var = with_kl<gspo_term, kl_low_var>;
using cispo_with_kl_k1 = with_kl<cispo_term, kl_k1>;
using cispo_with_kl_low_var = with_kl<cispo_term, kl_low_var>;

}  // namespace slime
}  // namespace gradwire::inline v0
