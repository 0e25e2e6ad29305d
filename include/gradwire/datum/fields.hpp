// SPDX-License-Identifier: Apache-2.0
// The standard columns. Logprobs are natural logarithms (nats). The second name is the key in loss_fn_inputs where it
// differs: what servers' built-in losses read.
#pragma once

#include <gradwire/datum/field.hpp>

namespace gradwire::inline v0 {
namespace fields {

// Per token, one value a target.
inline constexpr field<"logprobs", per_token> logprobs{};  // the trainer's, now: what is differentiated
inline constexpr field<"old_logprobs", per_token, "logprobs"> old_logprobs{};  // the policy when it sampled
inline constexpr field<"sampler_logprobs", per_token> sampler_logprobs{};      // the inference engine's own numbers
inline constexpr field<"ref_logprobs", per_token> ref_logprobs{};              // a frozen reference model's
inline constexpr field<"teacher_logprobs", per_token> teacher_logprobs{};      // of a teacher for the same tokens
inline constexpr field<"weights", per_token> weights{};                        // 0 = masked; every batch has it
inline constexpr field<"token_advantage", per_token, "advantages"> token_advantage{};  // reward units
inline constexpr field<"values", per_token> values{};                                  // a critic's, now, reward units
inline constexpr field<"old_values", per_token> old_values{};                          // a critic's when it sampled
inline constexpr field<"returns", per_token> returns{};                                // what the critic should say

// Per sequence.
inline constexpr field<"advantage", per_sequence, "advantages"> advantage{};  // reward units
inline constexpr field<"reward", per_sequence> reward{};                      // reward units
inline constexpr field<"desirable", per_sequence> desirable{};                // KTO: 1 desirable, 0 undesirable
inline constexpr field<"micro_batch", per_sequence> micro_batch{};            // whole number: a partition of the batch
inline constexpr field<"prompt_id", per_sequence> prompt_id{};                // whole number: a partition of the batch

// Per candidate: K values a target, for top-K distillation.
inline constexpr field<"candidate_logprobs", per_candidate, "logprobs"> candidate_logprobs{};  // the trainer's, now
inline constexpr field<"candidate_teacher_logprobs", per_candidate> candidate_teacher_logprobs{};
inline constexpr field<"candidate_ref_logprobs", per_candidate> candidate_ref_logprobs{};

// Token ids: not part of a formula.
inline constexpr id_field<"target_tokens">
    target_tokens{};  // instead of the shifted input: datum{model_input(x), target_tokens = y}
inline constexpr id_field<"candidates"> candidates{};  // K ids a target

}  // namespace fields

namespace detail {
using weights_field = plain<decltype(fields::weights)>;
using targets_field = plain<decltype(fields::target_tokens)>;
using candidates_field = plain<decltype(fields::candidates)>;
}  // namespace detail

}  // namespace gradwire::inline v0
