// SPDX-License-Identifier: Apache-2.0
// SkyRL's "gspo" with its KL loss to the reference, use_kl_loss.      source: SkyRL, …/skyrl_train/workers/worker.py
//
//   L = R[gspo] + kl_loss_coef·1/B Σ_i (1/|y_i|) Σ_t kl,   all-masked sequences counted in B
//
// kl: k1 or k3 (the source's default) of logprob − ref, see kl.hpp. R: sequence_mean, as in gspo.hpp.
//
// Reads per token: logprobs, old_logprobs, ref_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/skyrl/gspo.hpp>
#include <gradwire/loss/skyrl/kl.hpp>

namespace gradwire::inline v0 {
namespace skyrl {

template <class Kl>
struct gspo_with_kl {
  offset eps_clip_low{0.2};     // trust region below 1, dimensionless
  offset eps_clip_high{0.2};    // trust region above 1, dimensionless
  double kl_loss_coef = 0.001;  // weight of the KL to the reference, per nat

  constexpr auto operator()() const {
    return reduced(sequence_mean_of_all, gspo_term(eps_clip_low, eps_clip_high)) + kl_loss_coef * Kl{}();
  }
};
using gspo_with_kl_k1 = gspo_with_kl<kl_k1>;
using gspo_with_kl_k3 = gspo_with_kl<kl_k3>;

}  // namespace skyrl
}  // namespace gradwire::inline v0
