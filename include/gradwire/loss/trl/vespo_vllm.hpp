// SPDX-License-Identifier: Apache-2.0
// VESPO with TRL's correction for sampling by vLLM, which enters the sequence's weight.
// Source: huggingface/trl, trl/trainer/grpo_trainer.py get_gamma_weights
//
//   log w = clamp( Σ_t clamp(logprob − old, ±20) + Σ_t clamp(log v, log 1e-8, 20), log 1e-8, 20 )
//   v: ρ = exp(old − sampler) clamped to [clip_min, clip_max] (token_truncate), or 0 outside (token_mask)
//   The rest as trl::vespo, at β = 0.
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/trl.hpp>
#include <gradwire/loss/parts/vespo.hpp>

namespace gradwire::inline v0 {
namespace trl {

template <auto Correction>
struct corrected_vespo {
  double vespo_k_pos = 2.0;                              // k, power of the sequence weight where A ≥ 0
  double vespo_lambda_pos = 3.0;                         // λ, decay where A ≥ 0
  double vespo_k_neg = 3.0;                              // k where A < 0
  double vespo_lambda_neg = 2.0;                         // λ where A < 0
  bound vllm_importance_sampling_clip_min = bound{0};    // of ρ; 0: none
  bound vllm_importance_sampling_clip_max = bound{3.0};  // of ρ

  constexpr auto operator()() const {
    using namespace fields;
    auto v = Correction(vllm_importance_sampling_clip_min, vllm_importance_sampling_clip_max);
    auto weight =
        let<"phi">(vespo_weight(logprobs - old_logprobs, advantage, sum_over_tokens(clamp(log(v), log_of_1e_8, 20)),
                                vespo_k_pos, vespo_lambda_pos, vespo_k_neg, vespo_lambda_neg));
    return objective_with(token_mean(-(weight * advantage * logprobs)), tis_mean(v),
                          drift_metrics(logprobs, old_logprobs), mismatch_metrics(old_logprobs, sampler_logprobs));
  }
};

// vllm_importance_sampling_mode "token_truncate".
using vespo_with_token_truncate = corrected_vespo<token_truncate>;
// vllm_importance_sampling_mode "token_mask".
using vespo_with_token_mask = corrected_vespo<token_mask>;

}  // namespace trl
}  // namespace gradwire::inline v0
