// SPDX-License-Identifier: Apache-2.0
// SkyRL's policy loss "kl_cov", divided by a constant length: Dr. GRPO.
// Source: SkyRL, …/skyrl_train/utils/ppo_utils.py
//
//   L = Σ x / (B·max_seq_len), x as in kl_cov.hpp; B sequences, all-masked ones counted
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/skyrl/kl_cov.hpp>

namespace gradwire::inline v0 {
namespace skyrl {

struct kl_cov_seq_mean_token_sum_norm {
  using breaks_contract = broken<breaks<rule::scale, "the KL term of the chosen tokens does not scale with A">,
                                 breaks<rule::zero_advantage, "the KL term stays where A = 0">>;
  double kl_cov_frac = 0.2;  // share of the tokens with a KL term
  double ppo_kl_coef = 1.0;  // c, weight of the KL term, per nat
  double max_seq_len = 1;    // L, tokens; no default in the source: set it

  constexpr auto operator()() const {
    return reduced(token_sum, kl_cov_term(fields::advantage * sequence_mean_token_sum_per{max_seq_len}.share(),
                                          kl_cov_frac, ppo_kl_coef));
  }
};

}  // namespace skyrl
}  // namespace gradwire::inline v0
