// SPDX-License-Identifier: Apache-2.0
// TRL's default loss, the token mean, corrected for sampling by vLLM.
// Source: huggingface/trl, trl/trainer/grpo_trainer.py
//
//   x as in trl/corrected_grpo.hpp;   dapo (and bnpo of one micro-batch): L = Σ_i Σ_t m·x / Σ_i |y_i|
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs, ref_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/trl/corrected_grpo.hpp>

namespace gradwire::inline v0 {
namespace trl {

// vllm_importance_sampling_mode "token_truncate".
using dapo_with_token_truncate = corrected_grpo<token_truncate, token_mean>;
// vllm_importance_sampling_mode "token_mask".
using dapo_with_token_mask = corrected_grpo<token_mask, token_mean>;
// vllm_importance_sampling_mode "sequence_truncate".
using dapo_with_sequence_truncate = corrected_grpo<sequence_truncate, token_mean>;
// vllm_importance_sampling_mode "sequence_mask".
using dapo_with_sequence_mask = corrected_grpo<sequence_mask, token_mean>;
// The same under the other name of the token mean: a batch of one micro-batch.
using bnpo_with_sequence_mask = corrected_grpo<sequence_mask, token_mean>;
// The sequence ratio under TRL's default correction.
using dapo_sequence_level_with_sequence_mask = corrected_grpo<sequence_mask, token_mean, sequence_level>;

}  // namespace trl
}  // namespace gradwire::inline v0
