// SPDX-License-Identifier: Apache-2.0
// SkyRL's policy loss "regular": PPO with a clipped ratio.            source: SkyRL, …/skyrl_train/utils/ppo_utils.py
//
//   x = −min(r·A, clip(r, 1−ε_low, 1+ε_high)·A),   r = exp(clamp(logprob − old, ±20))
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

constexpr auto regular_term(offset below, offset above) {
  using namespace fields;
  const auto r = let<"ratio">(clamped_ratio(logprobs, old_logprobs, 20));
  return surrogate(-ppo_clip(r, advantage, low(below), high(above)),
                   clip_metrics(r, advantage, low(below), high(above)), drift_metrics(logprobs, old_logprobs));
}

// PPO with a clipped ratio. Also: skyrl::ppo.
template <auto Reduce = token_mean>
struct regular {
  offset eps_clip_low{0.2};   // trust region below 1, dimensionless
  offset eps_clip_high{0.2};  // trust region above 1, dimensionless

  constexpr auto operator()() const { return reduced(Reduce, regular_term(eps_clip_low, eps_clip_high)); }
};
using regular_token_mean_legacy = regular<micro_batch_mean>;
using regular_sequence_mean = regular<sequence_mean_of_all>;
using regular_prompt_mean = regular<prompt_mean>;

}  // namespace skyrl
}  // namespace gradwire::inline v0
