// SPDX-License-Identifier: Apache-2.0
// SkyRL's policy loss "gspo", in the token form.                      source: SkyRL, …/skyrl_train/utils/ppo_utils.py
//
//   x = −min(s·A, clip(s, 1−ε_low, 1+ε_high)·A),   s = sg(exp(min(mean_t (logprob − old), 10)))·exp(logprob −
//   sg(logprob))
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

constexpr auto gspo_term(offset below, offset above) {
  using namespace fields;
  const auto s = let<"sequence_ratio">(sequence_ratio_as_token(logprobs, old_logprobs, 10));
  return surrogate(-ppo_clip(s, advantage, low(below), high(above)),
                   clip_metrics(s, advantage, low(below), high(above)), drift_metrics(logprobs, old_logprobs));
}

// PPO clipping of the geometric mean of a sequence's ratios.
template <auto Reduce = sequence_mean_of_all>
struct gspo {
  offset eps_clip_low{0.2};   // trust region below 1, dimensionless
  offset eps_clip_high{0.2};  // trust region above 1, dimensionless

  constexpr auto operator()() const { return reduced(Reduce, gspo_term(eps_clip_low, eps_clip_high)); }
};
using gspo_token_mean = gspo<token_mean>;
using gspo_token_mean_legacy = gspo<micro_batch_mean>;
using gspo_prompt_mean = gspo<prompt_mean>;

}  // namespace skyrl
}  // namespace gradwire::inline v0
