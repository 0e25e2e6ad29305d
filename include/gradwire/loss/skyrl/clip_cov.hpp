// SPDX-License-Identifier: Apache-2.0
// SkyRL's policy loss "clip_cov": PPO without a few tokens whose covariance is high.
// Source: SkyRL, …/skyrl_train/utils/ppo_utils.py
//
//   x = max(−r·A, −clip(r, 1−ε_low, 1+ε_high)·A),   r = exp(logprob − old), and 0 at max(1, ⌊clip_ratio·N⌋) tokens
//   chosen among those with lb < (A' − mean A')·(logprob − mean logprob) < ub that are not clipped
//
// A' = A·(the factor of the reduction): the source scales the advantage first. The choice is by the smallest hash of
// (seed, datum, position); the source draws it.
//
// Reductions (N tokens; B sequences, all-masked ones counted; all read `weights` only): token_mean 1/N;
// token_mean_legacy 1/(M·N_m) within each micro_batch m; sequence_mean 1/(B·|y_i|); prompt_mean 1/(P·N_p) within each
// prompt_id p; in a header of its own seq_mean_token_sum_norm 1/(B·max_seq_len).
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/covariance.hpp>

namespace gradwire::inline v0 {
namespace skyrl {

// PPO without a few tokens whose covariance is high.
template <auto Reduce = token_mean>
struct clip_cov {
  offset eps_clip_low{0.2};    // trust region below 1, dimensionless
  offset eps_clip_high{0.2};   // trust region above 1, dimensionless
  double clip_ratio = 0.0002;  // share of the tokens that are dropped
  double clip_cov_lb = 1.0;    // covariance above which a token can be dropped, reward units · nats
  double clip_cov_ub = 5.0;    // … and below which
  int seed = 0;                // of the choice

  constexpr auto operator()() const {
    return reduced(Reduce, clip_cov_term(fields::advantage * Reduce.share(), eps_clip_low, eps_clip_high,
                                         {clip_ratio, clip_cov_lb, clip_cov_ub, seed}));
  }
};
using clip_cov_token_mean_legacy = clip_cov<micro_batch_mean>;
using clip_cov_sequence_mean = clip_cov<sequence_mean_of_all>;
using clip_cov_prompt_mean = clip_cov<prompt_mean>;

}  // namespace skyrl
}  // namespace gradwire::inline v0
