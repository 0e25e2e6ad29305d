// SPDX-License-Identifier: Apache-2.0
// SkyRL's policy loss "sapo": a smooth gate instead of a clip.        source: SkyRL, …/skyrl_train/utils/ppo_utils.py
//
//   x = −A·σ(τ·(r − 1))·4/τ,   τ = τ_pos where A > 0, else τ_neg,   r = exp(clamp(logprob − old, ±20))
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

constexpr auto sapo_term(double tau_positive, double tau_negative) {
  using namespace fields;
  const auto r = let<"ratio">(clamped_ratio(logprobs, old_logprobs, 20));
  return surrogate(-sapo_gate(r, advantage, tau_positive, tau_negative) * advantage,
                   drift_metrics(logprobs, old_logprobs));
}

// A smooth gate of the ratio instead of a clip.
template <auto Reduce = sequence_mean_of_all>
struct sapo {
  double tau_pos = 1.0;   // τ where A > 0, dimensionless
  double tau_neg = 1.05;  // τ where A ≤ 0, dimensionless

  constexpr auto operator()() const { return reduced(Reduce, sapo_term(tau_pos, tau_neg)); }
};
using sapo_token_mean = sapo<token_mean>;
using sapo_token_mean_legacy = sapo<micro_batch_mean>;
using sapo_prompt_mean = sapo<prompt_mean>;

}  // namespace skyrl
}  // namespace gradwire::inline v0
