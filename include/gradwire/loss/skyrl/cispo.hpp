// SPDX-License-Identifier: Apache-2.0
// SkyRL's policy loss "cispo": the clipped ratio weighs the policy gradient.
// Source: SkyRL, …/skyrl_train/utils/ppo_utils.py
//
//   x = −sg(clip(r, 1−ε_low, 1+ε_high))·A·logprob,   r = exp(clamp(logprob − behaviour, ±20))
//
// behaviour: old_logprobs, or sampler_logprobs with cispo_anchor "rollout" (cispo_anchor_rollout).
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

template <expression Behaviour>
constexpr auto cispo_term(const Behaviour& behaviour, offset below, offset above) {
  using namespace fields;
  const auto r = let<"ratio">(clamped_ratio(logprobs, behaviour, 20));
  return surrogate(-cispo_weight(r, low(below), high(above)) * advantage * logprobs,
                   out_of_band_frac(r, low(below), high(above)), drift_metrics(logprobs, behaviour));
}

// The clipped ratio weighs the policy gradient.
template <auto Reduce = token_mean>
struct cispo {
  offset cispo_eps_clip_low{1.0};   // trust region below 1, dimensionless
  offset cispo_eps_clip_high{4.0};  // trust region above 1, dimensionless

  constexpr auto operator()() const {
    return reduced(Reduce, cispo_term(fields::old_logprobs, cispo_eps_clip_low, cispo_eps_clip_high));
  }
};
using cispo_token_mean_legacy = cispo<micro_batch_mean>;
using cispo_sequence_mean = cispo<sequence_mean_of_all>;
using cispo_prompt_mean = cispo<prompt_mean>;

}  // namespace skyrl
}  // namespace gradwire::inline v0
