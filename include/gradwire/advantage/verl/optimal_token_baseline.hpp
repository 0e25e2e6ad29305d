// SPDX-License-Identifier: Apache-2.0
// Optimal token baseline: at each step, the group's returns weighted by the variance of their gradients so far.
//                                                               source: verl, verl/trainer/ppo/core_algos.py
//
//   A_t = G_t − Σ_i G_it·W_it / (Σ_i W_it + ε),      W_t = Σ_{j≤t} ρ̄_j²·(1 − 2π_j + Σπ²_j),  π = e^old_logprob, over
//   unmasked tokens
//
// A step is a place in the response, from its first unmasked token (tir_…: the count of unmasked tokens). The sums run
// over the group's sequences that have an unmasked token there. A group of one has no baseline: A = G.
// handle_zero_tail: none where only the longest sequence is left. ρ̄ = 1; …_with_tis: min(e^(old − sampler), cap). R:
// token_reward, plus reward on the last unmasked token. Reads per token: old_logprobs (nats), sum_pi_squared, weights;
// with_tis: sampler_logprobs.
#pragma once

#include <gradwire/advantage/parts/token_baseline.hpp>

namespace gradwire::inline v0 {
namespace advantages::verl {

template <auto Step = step::position>
struct optimal_token_baseline {
  using reads = columns<fields::reward, fields::old_logprobs, fields::sum_pi_squared>;
  bool handle_zero_tail = Step == step::unmasked;  // no baseline beyond the second longest sequence
  double epsilon = 1e-8;                           // ε, dimensionless

  template <class Batch>
  auto operator()(const Batch& data) const {
    const auto weight = path_variance(data, [](std::size_t) { return 1.0; });
    const auto reward_left = reward_to_go(data, token_rewards(data), 1, masked_token::is_zero);
    return as_column(data,
                     less_token_baseline(data, reward_left, weight, steps_of(data, Step), epsilon, handle_zero_tail));
  }
};
using tir_optimal_token_baseline = optimal_token_baseline<step::unmasked>;

}  // namespace advantages::verl
}  // namespace gradwire::inline v0
