// SPDX-License-Identifier: Apache-2.0
// SkyRL's policy loss "dppo" with dppo_type "binary_tv".              source: SkyRL, …/skyrl_train/utils/ppo_utils.py
//
//   x = −r·A, r = exp(clamp(logprob − sampler, ±20)), and 0 where
//   (A > 0 and p − q > δ_high) or (A < 0 and q − p > δ_low),   p = e^logprob, q = e^sampler
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

constexpr auto dppo_tv_term(double below, double above) {
  using namespace fields;
  const auto r = let<"ratio">(clamped_ratio(logprobs, sampler_logprobs, 20));
  const auto keep = tv_keep(logprobs, sampler_logprobs, advantage, below, above);
  return surrogate(-kept(keep, r) * advantage, dropped_frac(keep), drift_metrics(logprobs, sampler_logprobs));
}

// The ratio, without tokens that have moved too far in the direction of their advantage.
template <auto Reduce = token_mean>
struct dppo_tv {
  double delta_low = 0.2;   // δ of the probability where A < 0, dimensionless
  double delta_high = 0.2;  // δ of the probability where A > 0, dimensionless

  constexpr auto operator()() const { return reduced(Reduce, dppo_tv_term(delta_low, delta_high)); }
};
using dppo_tv_token_mean_legacy = dppo_tv<micro_batch_mean>;
using dppo_tv_sequence_mean = dppo_tv<sequence_mean_of_all>;
using dppo_tv_prompt_mean = dppo_tv<prompt_mean>;

}  // namespace skyrl
}  // namespace gradwire::inline v0
