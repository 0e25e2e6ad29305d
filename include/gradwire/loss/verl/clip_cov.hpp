// SPDX-License-Identifier: Apache-2.0
// verl's policy loss "clip_cov": PPO without a few tokens whose covariance is high.
// Source: verl, verl/trainer/ppo/core_algos.py
//
//   x = max(−r·A, −clip(r, 1−ε_low, 1+ε_high)·A),   r = exp(logprob − old), and 0 at max(1, ⌊clip_cov_ratio·N⌋) tokens
//   chosen among those with lb < (A − mean A)·(logprob − mean logprob) < ub that are not clipped; the means' divisor is
//   N + 1e-8
//
// The choice is by the smallest hash of (seed, datum, position); the source draws it.
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

// PPO without a few tokens whose covariance is high.
template <auto Reduce = token_mean>
struct clip_cov {
  using breaks_contract = broken<breaks<rule::on_policy_identity, "a chosen token is dropped">,
                                 breaks<rule::scale, "the band of covariances is in reward units">>;
  offset clip_ratio_low{0.2};      // trust region below 1, dimensionless
  offset clip_ratio_high{0.2};     // trust region above 1, dimensionless
  double clip_cov_ratio = 0.0002;  // share of the tokens that are dropped
  double clip_cov_lb = 1.0;        // covariance above which a token can be dropped, reward units · nats
  double clip_cov_ub = 5.0;        // … and below which
  int seed = 0;                    // of the choice

  constexpr auto operator()() const {
    return reduced(Reduce, gradwire::clip_cov_term<masked_mean>(fields::advantage, clip_ratio_low, clip_ratio_high,
                                                                {clip_cov_ratio, clip_cov_lb, clip_cov_ub, seed}));
  }
};
using clip_cov_seq_mean_token_sum = clip_cov<sequence_mean_token_sum>;
using clip_cov_seq_mean_token_mean = clip_cov<sequence_mean_with_epsilon>;

}  // namespace verl
}  // namespace gradwire::inline v0
