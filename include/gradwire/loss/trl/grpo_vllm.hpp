// SPDX-License-Identifier: Apache-2.0
// TRL's clipped losses as means over sequences, corrected for sampling by vLLM.
// Source: huggingface/trl, trl/trainer/grpo_trainer.py
//
//   x as in trl/corrected_grpo.hpp;   L = 1/B Σ_i 1/|y_i| Σ_t m·x,   B: every sequence, all-masked ones too
//   grpo_sequence_level: with r_i = exp(mean_t (logprob − old))
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs, ref_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/trl/corrected_grpo.hpp>

namespace gradwire::inline v0 {
namespace trl {

// vllm_importance_sampling_mode "token_truncate".
using grpo_with_token_truncate = corrected_grpo<token_truncate, sequence_mean_of_all>;
// vllm_importance_sampling_mode "token_mask".
using grpo_with_token_mask = corrected_grpo<token_mask, sequence_mean_of_all>;
// vllm_importance_sampling_mode "sequence_truncate".
using grpo_with_sequence_truncate = corrected_grpo<sequence_truncate, sequence_mean_of_all>;
// vllm_importance_sampling_mode "sequence_mask".
using grpo_with_sequence_mask = corrected_grpo<sequence_mask, sequence_mean_of_all>;
// The sequence ratio under TRL's default correction.
using grpo_sequence_level_with_sequence_mask = corrected_grpo<sequence_mask, sequence_mean_of_all, sequence_level>;

}  // namespace trl
}  // namespace gradwire::inline v0
