// SPDX-License-Identifier: Apache-2.0
// verl's "vanilla" with rejection by k2 or k3, rollout_rs "token_k2" … "seq_max_k3".
// Source: verl, verl/trainer/ppo/rollout_corr_helper.py
//
//   L = Σ x / #kept over the tokens that are kept, x as in vanilla.hpp; d = clamp(old − sampler, ±20)
//   kept: S ≤ threshold,   S = k of the token, Σ_t k, Σ_t k / (n + 1e-8) or max_t k;   k2 = ½d², k3 = e^d − 1 − d
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/verl.hpp>

namespace gradwire::inline v0 {
namespace verl {

template <auto K, auto Statistic>
struct vanilla_with_rs {
  offset clip_ratio_low{0.2};         // trust region below 1, dimensionless
  offset clip_ratio_high{0.2};        // trust region above 1, dimensionless
  bound clip_ratio_c{3.0};            // c, cap of the ratio where A < 0, dimensionless
  double rollout_rs_threshold = 0.1;  // of S, nats; to be set, the source has no default

  constexpr auto operator()() const {
    const auto keep = Statistic(K()) <= rollout_rs_threshold;
    return rejected_by(keep, vanilla_term(clip_ratio_low, clip_ratio_high, clip_ratio_c));
  }
};
using vanilla_with_token_k2 = vanilla_with_rs<k2_of, of_token>;
using vanilla_with_token_k3 = vanilla_with_rs<k3_of, of_token>;
using vanilla_with_seq_sum_k2 = vanilla_with_rs<k2_of, summed>;
using vanilla_with_seq_sum_k3 = vanilla_with_rs<k3_of, summed>;
using vanilla_with_seq_mean_k2 = vanilla_with_rs<k2_of, averaged>;
using vanilla_with_seq_mean_k3 = vanilla_with_rs<k3_of, averaged>;
using vanilla_with_seq_max_k2 = vanilla_with_rs<k2_of, largest_of>;
using vanilla_with_seq_max_k3 = vanilla_with_rs<k3_of, largest_of>;

}  // namespace verl
}  // namespace gradwire::inline v0
