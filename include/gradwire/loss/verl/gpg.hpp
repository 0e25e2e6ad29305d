// SPDX-License-Identifier: Apache-2.0
// verl's policy loss "gpg": the plain policy gradient.                   source: verl, verl/trainer/ppo/core_algos.py
//
//   x = −A·logprob
//
// loss_agg_mode (N tokens; B sequences without all-masked ones): token-mean 1/N, seq-mean-token-sum 1/B,
// seq-mean-token-mean 1/(B·(|y_i| + 1e-8)); in a header of its own seq-mean-token-sum-norm, 1/L without B up to verl
// 0.7.0, …_by_batch 1/(B·L) since.
//
// Reads per token: logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>
#include <gradwire/loss/parts/verl.hpp>

namespace gradwire::inline v0 {
namespace verl {

constexpr auto gpg_term() {
  using namespace fields;
  return surrogate(-advantage * logprobs, metric<"entropy_est">(-masked_mean(logprobs)));
}

// The plain policy gradient.
template <auto Reduce = token_mean>
struct gpg {
  constexpr auto operator()() const { return reduced(Reduce, gpg_term()); }
};
using gpg_seq_mean_token_sum = gpg<sequence_mean_token_sum>;
using gpg_seq_mean_token_mean = gpg<sequence_mean_with_epsilon>;

}  // namespace verl
}  // namespace gradwire::inline v0
