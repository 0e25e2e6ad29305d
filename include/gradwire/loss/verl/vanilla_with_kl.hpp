// SPDX-License-Identifier: Apache-2.0
// verl's "vanilla" with its KL loss to the reference, use_kl_loss.       source: verl, verl/trainer/ppo/core_algos.py
//
//   L = R[x] + kl_loss_coef·R[kl],   x and R as in vanilla.hpp, kl as in kl.hpp (the source's default: k3, its
//   "low_var_kl")
//
// Reads per token: logprobs, old_logprobs, ref_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/verl.hpp>
#include <gradwire/loss/verl/kl.hpp>

namespace gradwire::inline v0 {
namespace verl {

template <auto Term, auto Reduce = token_mean>
struct vanilla_with_kl {
  offset clip_ratio_low{0.2};   // trust region below 1, dimensionless
  offset clip_ratio_high{0.2};  // trust region above 1, dimensionless
  bound clip_ratio_c{3.0};      // c, cap of the ratio where A < 0, dimensionless
  double kl_loss_coef = 0.001;  // weight of the KL to the reference, per nat

  constexpr auto operator()() const {
    return reduced(Reduce, vanilla_term(clip_ratio_low, clip_ratio_high, clip_ratio_c)) +
           kl_loss_coef * kl_loss<Term, Reduce>{}();
  }
};
using vanilla_with_kl_k1 = vanilla_with_kl<k1_term>;
using vanilla_with_kl_abs = vanilla_with_kl<abs_term>;
using vanilla_with_kl_k2 = vanilla_with_kl<k2_term>;
using vanilla_with_kl_k3 = vanilla_with_kl<k3_term>;
using vanilla_with_kl_k3_plus = vanilla_with_kl<k3_plus_term>;
using vanilla_seq_mean_token_sum_with_kl_k1 = vanilla_with_kl<k1_term, sequence_mean_token_sum>;
using vanilla_seq_mean_token_sum_with_kl_k3 = vanilla_with_kl<k3_term, sequence_mean_token_sum>;
using vanilla_seq_mean_token_mean_with_kl_k1 = vanilla_with_kl<k1_term, sequence_mean_with_epsilon>;
using vanilla_seq_mean_token_mean_with_kl_k3 = vanilla_with_kl<k3_term, sequence_mean_with_epsilon>;

}  // namespace verl
}  // namespace gradwire::inline v0
