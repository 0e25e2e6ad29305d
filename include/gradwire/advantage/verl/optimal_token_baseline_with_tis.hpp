// SPDX-License-Identifier: Apache-2.0
// The optimal token baseline for rollouts of another engine: variances weighted by the squared importance weights.
//                                                               source: verl, verl/trainer/ppo/core_algos.py
//
//   A_t = G_t − Σ_i G_it·W_it / (Σ_i W_it + ε),      W_t = Σ_{j≤t} ρ̄_j²·(1 − 2π_j + Σπ²_j),  ρ̄ = min(e^(old − sampler),
//   cap)
//
// The log ratio is clamped to ±20. Otherwise as verl::optimal_token_baseline. Reads per token: old_logprobs,
// sampler_logprobs (nats), sum_pi_squared, weights.
#pragma once

#include <gradwire/advantage/parts/token_baseline.hpp>

namespace gradwire::inline v0 {
namespace advantages::verl {

struct optimal_token_baseline_with_tis {
  using reads = columns<fields::reward, fields::old_logprobs, fields::sampler_logprobs, fields::sum_pi_squared>;
  double rollout_is_threshold = 2.0;  // cap of ρ̄, dimensionless
  bool handle_zero_tail = false;      // no baseline beyond the second longest sequence
  double epsilon = 1e-8;              // ε, dimensionless

  template <class Batch>
  auto operator()(const Batch& data) const {
    const auto importance = importance_weights(data, rollout_is_threshold);
    const auto weight = path_variance(data, [&](std::size_t i) { return importance[i] * importance[i]; });
    const auto reward_left = reward_to_go(data, token_rewards(data), 1, masked_token::is_zero);
    const auto steps = steps_of(data, step::position);
    return as_column(data, less_token_baseline(data, reward_left, weight, steps, epsilon, handle_zero_tail));
  }
};

}  // namespace advantages::verl
}  // namespace gradwire::inline v0
