// SPDX-License-Identifier: Apache-2.0
// Leave one out, with the KL to a reference in the reward.              source: TRL, trainer/rloo_trainer.py,
// arXiv:2402.14740
//
//   A = s' − mean of the group's other s',      s' = s − β·Σ_t (old_logprob − ref_logprob)
//   normalize_advantages: (A − mean) / (std + 1e-4) over the batch, std with n − 1
//
// rloo_without_kl is β = 0 and reads no logprobs. A group of one: 0. Equal rewards: exactly 0. Reads per sequence:
// reward; per token: old_logprobs, ref_logprobs (nats), weights.
#pragma once

#include <gradwire/advantage/parts/group_baseline.hpp>

namespace gradwire::inline v0 {
namespace advantages::trl {

struct rloo_without_kl {
  bool normalize_advantages = false;  // to mean 0 and std 1 over the batch

  template <expression S = reward_column>
  constexpr auto operator()(const S& reward = {}) const {
    const auto a = leave_one_out(reward);
    const auto normal = centered_over_sequences(a) / (std_over_sequences<1>(a) + 1e-4);
    return where(constant{normalize_advantages ? 1.0 : 0.0} == 1, normal, a);
  }
};

struct rloo {
  double beta = 0.05;  // β, weight of the KL in the reward, reward units per nat of the summed log ratio
  bool normalize_advantages = false;  // to mean 0 and std 1 over the batch

  template <expression S = reward_column>
  constexpr auto operator()(const S& reward = {}) const {
    const auto log_ratio = allow<lint::role_difference>(fields::old_logprobs - fields::ref_logprobs);
    return rloo_without_kl{normalize_advantages}(reward - beta * sum_over_tokens(log_ratio));
  }
};

}  // namespace advantages::trl
}  // namespace gradwire::inline v0
