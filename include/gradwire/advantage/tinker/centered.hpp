// SPDX-License-Identifier: Apache-2.0
// Centred rewards, and with the KL to a base model in the advantage.    source: tinker-cookbook, rl/data_processing.py,
// rl/metrics.py
//
//   centered:          A = s − mean of the group
//   centered_with_kl:  A_t = A + c·(mean over the batch's unmasked tokens of d − d_t)
//                      d = sampler_logprob − ref_logprob
//                      γ > 0: the KL part is replaced by its sum x_t + γ·x_{t+1} + … (0 at masked tokens)
//
// A group of one: 0. Equal rewards: exactly 0. Reads per sequence: reward; with_kl per token: sampler_logprobs,
// ref_logprobs (nats), weights.
#pragma once

#include <gradwire/advantage/parts/group_baseline.hpp>
#include <gradwire/advantage/parts/turns.hpp>

namespace gradwire::inline v0 {
namespace advantages::tinker {

struct centered {
  template <expression S = reward_column>
  constexpr auto operator()(const S& reward = {}) const {
    return centred(reward);
  }
};

struct centered_with_kl {
  using reads = columns<fields::reward, fields::sampler_logprobs, fields::ref_logprobs>;
  double kl_penalty_coef = 0.0;     // c, reward units per nat
  double kl_discount_factor = 0.0;  // γ, discount per token; 0: each token its own

  template <class Batch>
  auto operator()(const Batch& data) const {
    const auto d =
        masked_to_zero(data, minus(numbers_of(data, fields::sampler_logprobs), numbers_of(data, fields::ref_logprobs)));
    const auto kl = masked_to_zero(data, scaled(shifted(d, -mean_of_unmasked(data, d)), -kl_penalty_coef));
    const auto later = kl_discount_factor > 0 ? reward_to_go(data, kl, kl_discount_factor, masked_token::is_zero) : kl;
    return as_column(data, plus(later, masked_to_zero(data, spread(data, centred_in_group(data, rewards_of(data))))));
  }
};

}  // namespace advantages::tinker
}  // namespace gradwire::inline v0
