// SPDX-License-Identifier: Apache-2.0
// On-policy distillation: each token's negative reverse KL to a teacher. source: tinker-cookbook,
// distillation/train_on_policy.py
//
//   A_t = −c·(sampler_logprob − teacher_logprob);   γ > 0: replaced by its sum x_t + γ·x_{t+1} + … (0 at masked tokens)
//
// The source adds it to the rewards' advantages, which are 0 there. Reads per token: sampler_logprobs, teacher_logprobs
// (nats), weights.
#pragma once

#include <gradwire/advantage/parts/walk.hpp>

namespace gradwire::inline v0 {
namespace advantages::tinker {

struct opd {
  using reads = columns<fields::sampler_logprobs, fields::teacher_logprobs>;
  double kl_penalty_coef = 1.0;     // c, reward units per nat
  double kl_discount_factor = 0.0;  // γ, discount per token; 0: each token its own

  template <class Batch>
  auto operator()(const Batch& data) const {
    const auto gap = minus(numbers_of(data, fields::teacher_logprobs), numbers_of(data, fields::sampler_logprobs));
    const auto a = scaled(masked_to_zero(data, gap), kl_penalty_coef);
    return as_column(data,
                     kl_discount_factor > 0 ? reward_to_go(data, a, kl_discount_factor, masked_token::is_zero) : a);
  }
};

}  // namespace advantages::tinker
}  // namespace gradwire::inline v0
