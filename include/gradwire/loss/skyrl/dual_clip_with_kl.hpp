// SPDX-License-Identifier: Apache-2.0
// SkyRL's "dual_clip" with its KL loss to the reference, use_kl_loss. source: SkyRL, …/skyrl_train/workers/worker.py
//
//   L = R[dual_clip] + kl_loss_coef·1/B Σ_i (1/|y_i|) Σ_t kl,   all-masked sequences counted in B, whatever R is
//
// kl: k1 or k3 (the source's default) of logprob − ref, see kl.hpp. R: token_mean.
//
// Reads per token: logprobs, old_logprobs, ref_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/skyrl/dual_clip.hpp>
#include <gradwire/loss/skyrl/kl.hpp>

namespace gradwire::inline v0 {
namespace skyrl {

template <class Kl>
struct dual_clip_with_kl {
  offset eps_clip_low{0.2};     // trust region below 1, dimensionless
  offset eps_clip_high{0.2};    // trust region above 1, dimensionless
  bound clip_ratio_c{3.0};      // c, cap of the ratio where A < 0, dimensionless
  double kl_loss_coef = 0.001;  // weight of the KL to the reference, per nat

  constexpr auto operator()() const {
    return reduced(token_mean, dual_clip_term(eps_clip_low, eps_clip_high, clip_ratio_c)) + kl_loss_coef * Kl{}();
  }
};
using dual_clip_with_kl_k1 = dual_clip_with_kl<kl_k1>;
using dual_clip_with_kl_k3 = dual_clip_with_kl<kl_k3>;

}  // namespace skyrl
}  // namespace gradwire::inline v0
