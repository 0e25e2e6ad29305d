// SPDX-License-Identifier: Apache-2.0
// verl's policy loss "dro": the policy gradient with a quadratic tie to the old policy.
// Source: verl, verl/trainer/ppo/core_algos.py
//
//   x = −(A·logprob − ½·β·(logprob − old)²)
//
// loss_agg_mode (N tokens; B sequences without all-masked ones): token-mean 1/N, seq-mean-token-sum 1/B,
// seq-mean-token-mean 1/(B·(|y_i| + 1e-8)); in a header of its own seq-mean-token-sum-norm 1/(B·L).
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>
#include <gradwire/loss/parts/verl.hpp>

namespace gradwire::inline v0 {
namespace verl {

constexpr auto dro_term(double beta) {
  using namespace fields;
  return surrogate(0.5 * beta * square(logprobs - old_logprobs) - advantage * logprobs,
                   drift_metrics<masked_mean>(logprobs, old_logprobs));
}

// The policy gradient with a quadratic tie to the old policy.
template <auto Reduce = token_mean>
struct dro {
  double dro_beta =
      0.01;  // β, weight of the quadratic term, reward units per nat; to be set, the source has no default

  constexpr auto operator()() const { return reduced(Reduce, dro_term(dro_beta)); }
};
using dro_seq_mean_token_sum = dro<sequence_mean_token_sum>;
using dro_seq_mean_token_mean = dro<sequence_mean_with_epsilon>;

}  // namespace verl
}  // namespace gradwire::inline v0
