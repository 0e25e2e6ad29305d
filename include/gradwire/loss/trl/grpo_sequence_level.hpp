// SPDX-License-Identifier: Apache-2.0
// TRL's clipped losses under the ratio of whole sequences.
// Source: huggingface/trl, trl/trainer/grpo_trainer.py _compute_loss, trl/experimental/gspo_token
//
//   as trl::grpo, with r_i = exp(1/|y_i| Σ_t m·(logprob − old)) for every token of sequence i: the geometric mean
//   …_sequence_token_level: that value without a gradient, each token's own logprob as its carrier
//   grpo        L = 1/B Σ_i 1/|y_i| Σ_t m·x       B: every sequence, all-masked ones too
//   bnpo, dapo  L = Σ_i Σ_t m·x / Σ_i |y_i|       which weighs sequences by their length
//
// Reads per token: logprobs, old_logprobs, ref_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/trl/grpo.hpp>
#include <gradwire/loss/trl/grpo_without_kl.hpp>

namespace gradwire::inline v0 {
namespace trl {

// importance_sampling_level "sequence": GSPO.
using grpo_sequence_level = grpo<sequence_mean_of_all, sequence_level>;
// importance_sampling_level "sequence", loss_type "bnpo": the token mean of one micro-batch.
using bnpo_sequence_level = grpo<token_mean, sequence_level>;
// importance_sampling_level "sequence", loss_type "dapo": the token mean over all batches of an optimiser step.
using dapo_sequence_level = grpo<token_mean, sequence_level>;
// importance_sampling_level "sequence_token" (experimental): GSPO in its token form.
using grpo_sequence_token_level = grpo<sequence_mean_of_all, sequence_token_level>;
// importance_sampling_level "sequence_token", loss_type "dapo": the token mean.
using dapo_sequence_token_level = grpo<token_mean, sequence_token_level>;

// importance_sampling_level "sequence" without a reference.
using grpo_sequence_level_without_kl = grpo_without_kl<sequence_mean_of_all, sequence_level>;

}  // namespace trl
}  // namespace gradwire::inline v0
