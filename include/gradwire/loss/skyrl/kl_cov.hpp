// SPDX-License-Identifier: Apache-2.0
// SkyRL's policy loss "kl_cov": a KL term on the tokens whose covariance is highest.
// Source: SkyRL, …/skyrl_train/utils/ppo_utils.py
//
//   Σ x·(the factor of the reduction) + Σ c·|logprob − old| over the max(1, ⌊kl_cov_frac·N⌋) tokens with the highest
//   (A' − mean A')·(logprob − mean logprob),   x = −r·A,   r = exp(logprob − old)
//
// A' = A·(that factor): the source scales the advantage first, so the covariance is of A' and the KL term is a bare
// sum.
//
// Reductions (N tokens; B sequences, all-masked ones counted; all read `weights` only): token_mean 1/N;
// token_mean_legacy 1/(M·N_m) within each micro_batch m; sequence_mean 1/(B·|y_i|); prompt_mean 1/(P·N_p) within each
// prompt_id p; in a header of its own seq_mean_token_sum_norm 1/(B·max_seq_len).
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/covariance.hpp>

namespace gradwire::inline v0 {
namespace skyrl {

// A KL term on the tokens whose covariance is highest.
template <auto Reduce = token_mean>
struct kl_cov {
  using breaks_contract = broken<breaks<rule::scale, "the KL term of the chosen tokens does not scale with A">,
                                 breaks<rule::zero_advantage, "the KL term stays where A = 0">>;
  double kl_cov_frac = 0.2;  // share of the tokens with a KL term
  double ppo_kl_coef = 1.0;  // c, weight of the KL term, per nat

  constexpr auto operator()() const {
    return reduced(token_sum, kl_cov_term(fields::advantage * Reduce.share(), kl_cov_frac, ppo_kl_coef));
  }
};
using kl_cov_token_mean_legacy = kl_cov<micro_batch_mean>;
using kl_cov_sequence_mean = kl_cov<sequence_mean_of_all>;
using kl_cov_prompt_mean = kl_cov<prompt_mean>;

}  // namespace skyrl
}  // namespace gradwire::inline v0
