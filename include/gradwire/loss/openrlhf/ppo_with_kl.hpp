// SPDX-License-Identifier: Apache-2.0
// OpenRLHF's policy loss with its KL loss to the reference, algo.kl.use_loss.
// Source: OpenRLHF, openrlhf/trainer/ray/ppo_actor.py
//
//   L = 1/N Σ x + init_coef·1/N Σ kl,   x as in ppo.hpp, kl as in kl.hpp
//
// Reads per token: logprobs, old_logprobs, ref_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/openrlhf/kl.hpp>
#include <gradwire/loss/openrlhf/ppo.hpp>

namespace gradwire::inline v0 {
namespace openrlhf {

template <class Kl>
struct ppo_with_kl {
  offset clip_eps_low{0.2};   // trust region below 1, dimensionless
  offset clip_eps_high{0.2};  // trust region above 1, dimensionless
  double init_coef = 0.01;    // weight of the KL to the reference, per nat

  constexpr auto operator()() const {
    return reduced(token_mean, ppo_term(clip_eps_low, clip_eps_high)) + init_coef * Kl{}();
  }
};
using ppo_with_kl_k1 = ppo_with_kl<kl_k1>;
using ppo_with_kl_k2 = ppo_with_kl<kl_k2>;
using ppo_with_kl_k3 = ppo_with_kl<kl_k3>;

}  // namespace openrlhf
}  // namespace gradwire::inline v0
