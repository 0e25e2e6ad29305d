// SPDX-License-Identifier: Apache-2.0
// The KL to a reference as a reward of each token, to be added before an advantage is estimated:
//
//   auto shaped = with(token_reward = kl_shaped(data, 0.01), data);         OpenRLHF: init_kl_coef 0.01, estimator k1
//   auto advantage = advantages::openrlhf::gae{}(shaped);
//
//   kl_shaped(data, c)                          R_t − c·(old_logprob − ref_logprob) at unmasked tokens;
//                                               R: the column token_reward, or 0
//   adaptive_kl{coefficient, target, horizon}   coefficient·(1 + clamp(kl/target − 1, ±0.2)·steps/horizon)  verl, SkyRL
#pragma once

#include <gradwire/advantage/parts/walk.hpp>

namespace gradwire::inline v0 {
namespace advantages {

template <class Batch>
column_of<Batch> kl_shaped(const Batch& data, double coefficient) {
  numbers_per_token result(data.shape().padded());
  if constexpr (Batch::template has<std::remove_const_t<decltype(fields::token_reward)>>)
    result = numbers_of(data, fields::token_reward);
  backwards(data, [&](std::size_t, std::size_t i, std::size_t, bool masked) {
    if (masked) return;
    const auto difference = data.data(fields::old_logprobs)[i] - data.data(fields::ref_logprobs)[i];
    result[i] -= coefficient * static_cast<double>(difference);
  });
  return as_column(data, result);
}

// The coefficient that keeps the KL near a target.              source: arXiv:1909.08593
struct adaptive_kl {
  double coefficient = 0.001;  // c, reward units per nat
  double target = 0.1;         // KL that it aims at, nats
  double horizon = 10000;      // steps in which it may change by its own size

  constexpr void update(double kl, double steps) {
    const double wanted = kl / target - 1;
    const double error = wanted < -0.2 ? -0.2 : wanted > 0.2 ? 0.2 : wanted;
    coefficient *= 1 + error * steps / horizon;
  }
};

}  // namespace advantages
}  // namespace gradwire::inline v0
