// SPDX-License-Identifier: Apache-2.0
// verl's policy loss "vanilla": PPO, always with dual clip.              source: verl, verl/trainer/ppo/core_algos.py
//
//   x = −min(r·A, clip(r, 1−ε_low, 1+ε_high)·A), and where A < 0 at most −c·A;   r = exp(clamp(logprob − old, ±20))
//
// loss_agg_mode (N tokens; B sequences without all-masked ones): token-mean 1/N, seq-mean-token-sum 1/B,
// seq-mean-token-mean 1/(B·(|y_i| + 1e-8)); in a header of its own seq-mean-token-sum-norm, 1/L without B up to verl
// 0.7.0, …_by_batch 1/(B·L) since.
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/verl.hpp>

namespace gradwire::inline v0 {
namespace verl {

// PPO with dual clip. Also: verl::ppo, verl::dual_clip.
template <auto Reduce = token_mean>
struct vanilla {
  offset clip_ratio_low{0.2};   // trust region below 1, dimensionless
  offset clip_ratio_high{0.2};  // trust region above 1, dimensionless
  bound clip_ratio_c{3.0};      // c, cap of the ratio where A < 0, dimensionless

  constexpr auto operator()() const {
    return reduced(Reduce, vanilla_term(clip_ratio_low, clip_ratio_high, clip_ratio_c));
  }
};
using vanilla_seq_mean_token_sum = vanilla<sequence_mean_token_sum>;
using vanilla_seq_mean_token_mean = vanilla<sequence_mean_with_epsilon>;
using vanilla_token_sum = vanilla<token_sum>;

}  // namespace verl
}  // namespace gradwire::inline v0
