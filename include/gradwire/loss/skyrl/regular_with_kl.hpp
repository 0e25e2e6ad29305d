// SPDX-License-Identifier: Apache-2.0
// SkyRL's "regular" with its KL loss to the reference, use_kl_loss.    source: SkyRL, …/skyrl_train/workers/worker.py
//
//   L = R[regular] + kl_loss_coef·1/B Σ_i (1/|y_i|) Σ_t kl,   all-masked sequences counted in B, whatever R is
//
// kl: k1, abs, k2 or k3 (the source's default) of logprob − ref, see kl.hpp. R: token_mean, or as the name says.
//
// Reads per token: logprobs, old_logprobs, ref_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/skyrl/kl.hpp>
#include <gradwire/loss/skyrl/regular.hpp>

namespace gradwire::inline v0 {
namespace skyrl {

template <class Kl, auto Reduce = token_mean>
struct regular_with_kl {
  offset eps_clip_low{0.2};     // trust region below 1, dimensionless
  offset eps_clip_high{0.2};    // trust region above 1, dimensionless
  double kl_loss_coef = 0.001;  // weight of the KL to the reference, per nat

  constexpr auto operator()() const {
    return reduced(Reduce, regular_term(eps_clip_low, eps_clip_high)) + kl_loss_coef * Kl{}();
  }
};
using regular_with_kl_k1 = regular_with_kl<kl_k1>;
using regular_with_kl_abs = regular_with_kl<kl_abs>;
using regular_with_kl_k2 = regular_with_kl<kl_k2>;
using regular_with_kl_k3 = regular_with_kl<kl_k3>;
using regular_sequence_mean_with_kl_k1 = regular_with_kl<kl_k1, sequence_mean_of_all>;
using regular_sequence_mean_with_kl_k3 = regular_with_kl<kl_k3, sequence_mean_of_all>;

}  // namespace skyrl
}  // namespace gradwire::inline v0
