// SPDX-License-Identifier: Apache-2.0
// verl's policy loss "kl_cov": a KL term on the tokens whose covariance is highest.
// Source: verl, verl/trainer/ppo/core_algos.py
//
//   x = −r·A, and + c·|logprob − old| on the max(1, ⌊kl_cov_ratio·N⌋) tokens with the highest
//   (A − mean A)·(logprob − mean logprob);   r = exp(logprob − old)
//
// loss_agg_mode (N tokens; B sequences without all-masked ones): token-mean 1/N, seq-mean-token-sum 1/B,
// seq-mean-token-mean 1/(B·(|y_i| + 1e-8)); in a header of its own seq-mean-token-sum-norm, 1/L without B up to verl
// 0.7.0, …_by_batch 1/(B·L) since.
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/covariance.hpp>
#include <gradwire/loss/parts/verl.hpp>

namespace gradwire::inline v0 {
namespace verl {

// A KL term on the tokens whose covariance is highest.
template <auto Reduce = token_mean>
struct kl_cov {
  using breaks_contract = broken<breaks<rule::scale, "the KL term of the chosen tokens does not scale with A">,
                                 breaks<rule::zero_advantage, "the KL term stays where A = 0">>;
  double kl_cov_ratio = 0.0002;  // share of the tokens with a KL term
  double ppo_kl_coef = 0.1;      // c, weight of the KL term, per nat

  constexpr auto operator()() const {
    return reduced(Reduce, gradwire::kl_cov_term<masked_mean>(fields::advantage, kl_cov_ratio, ppo_kl_coef));
  }
};
using kl_cov_seq_mean_token_sum = kl_cov<sequence_mean_token_sum>;
using kl_cov_seq_mean_token_mean = kl_cov<sequence_mean_with_epsilon>;

}  // namespace verl
}  // namespace gradwire::inline v0
