// SPDX-License-Identifier: Apache-2.0
// SkyRL's policy loss "rollout_is": tokens whose ratio to the engine left the band are dropped.
// Source: SkyRL, …/skyrl_train/utils/ppo_utils.py
//
//   x = −sg(r·1[1−ε_low < r < 1+ε_high])·A·logprob,   r = exp(clamp(logprob − sampler, ±20))
//
// Reductions (N tokens; B sequences, all-masked ones counted; all read `weights` only): token_mean 1/N;
// token_mean_legacy 1/(M·N_m) within each micro_batch m; sequence_mean 1/(B·|y_i|); prompt_mean 1/(P·N_p) within each
// prompt_id p; in a header of its own seq_mean_token_sum_norm 1/(B·max_seq_len).
//
// Reads per token: logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>

namespace gradwire::inline v0 {
namespace skyrl {

constexpr auto rollout_is_term(offset below, offset above) {
  using namespace fields;
  const auto r = let<"ratio">(clamped_ratio(logprobs, sampler_logprobs, 20));
  const auto in_band = r > low(below) && r < high(above);
  return surrogate(-stop_gradient(kept(in_band, r)) * advantage * logprobs, dropped_frac(in_band),
                   drift_metrics(logprobs, sampler_logprobs));
}

// The policy gradient of the tokens whose ratio to the engine is inside the band.
template <auto Reduce = token_mean>
struct rollout_is {
  offset eps_clip_low{0.2};   // trust region below 1, dimensionless
  offset eps_clip_high{0.2};  // trust region above 1, dimensionless

  constexpr auto operator()() const { return reduced(Reduce, rollout_is_term(eps_clip_low, eps_clip_high)); }
};
using rollout_is_token_mean_legacy = rollout_is<micro_batch_mean>;
using rollout_is_sequence_mean = rollout_is<sequence_mean_of_all>;
using rollout_is_prompt_mean = rollout_is<prompt_mean>;

}  // namespace skyrl
}  // namespace gradwire::inline v0
