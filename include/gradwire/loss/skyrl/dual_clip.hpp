// SPDX-License-Identifier: Apache-2.0
// SkyRL's policy loss "dual_clip": PPO with a clipped ratio, bounded where A < 0.
// Source: SkyRL, …/skyrl_train/utils/ppo_utils.py
//
//   x = −min(r·A, clip(r, 1−ε_low, 1+ε_high)·A), and where A < 0 at most −c·A;   r = exp(clamp(logprob − old, ±20))
//
// Reductions (N tokens; B sequences, all-masked ones counted; all read `weights` only): token_mean 1/N;
// token_mean_legacy 1/(M·N_m) within each micro_batch m; sequence_mean 1/(B·|y_i|); prompt_mean 1/(P·N_p) within each
// prompt_id p; in a header of its own seq_mean_token_sum_norm 1/(B·max_seq_len).
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>

namespace gradwire::inline v0 {
namespace skyrl {

constexpr auto dual_clip_term(offset below, offset above, bound c) {
  using namespace fields;
  const auto r = let<"ratio">(clamped_ratio(logprobs, old_logprobs, 20));
  return surrogate(-gradwire::dual_clip(r, advantage, low(below), high(above), high(c)),
                   clip_metrics(r, advantage, low(below), high(above)),
                   dual_clip_frac(r, advantage, low(below), high(c)), drift_metrics(logprobs, old_logprobs));
}

// PPO with a clipped ratio, bounded where the advantage is negative.
template <auto Reduce = token_mean>
struct dual_clip {
  offset eps_clip_low{0.2};   // trust region below 1, dimensionless
  offset eps_clip_high{0.2};  // trust region above 1, dimensionless
  bound clip_ratio_c{3.0};    // c, cap of the ratio where A < 0, dimensionless

  constexpr auto operator()() const {
    return reduced(Reduce, dual_clip_term(eps_clip_low, eps_clip_high, clip_ratio_c));
  }
};
using dual_clip_token_mean_legacy = dual_clip<micro_batch_mean>;
using dual_clip_sequence_mean = dual_clip<sequence_mean_of_all>;
using dual_clip_prompt_mean = dual_clip<prompt_mean>;

}  // namespace skyrl
}  // namespace gradwire::inline v0
