// SPDX-License-Identifier: Apache-2.0
// The standard columns. Logprobs are natural logarithms (nats). The second name is the key in loss_fn_inputs where it
// differs: what servers' built-in losses read.
#pragma once

#include <gradwire/datum/field.hpp>

namespace gradwire::inline v0 {
namespace fields {

// clang-format off
// Per token, one value a target; logprobs say whose they are.
inline constexpr field<"logprobs", per_token, "logprobs", role::current> logprobs{};                          // the trainer's, now: what is differentiated
inline constexpr field<"old_logprobs", per_token, "logprobs", role::old> old_logprobs{};                      // the policy when it sampled
inline constexpr field<"sampler_logprobs", per_token, "sampler_logprobs", role::sampler> sampler_logprobs{};  // the inference engine's own numbers
inline constexpr field<"ref_logprobs", per_token, "ref_logprobs", role::reference> ref_logprobs{};            // a frozen reference model's
inline constexpr field<"teacher_logprobs", per_token, "teacher_logprobs", role::teacher> teacher_logprobs{};  // of a teacher for the same tokens
// clang-format on
inline constexpr field<"weights", per_token> weights{};                                // 0 = masked; every batch has it
inline constexpr field<"token_advantage", per_token, "advantages"> token_advantage{};  // reward units
inline constexpr field<"values", per_token, "values", role::learned> values{};         // a critic's, now, reward units
inline constexpr field<"old_values", per_token> old_values{};                          // a critic's when it sampled
inline constexpr field<"returns", per_token> returns{};                                // what the critic should say
inline constexpr field<"token_reward", per_token> token_reward{};          // reward units; without it: the last token's
inline constexpr field<"sum_pi_squared", per_token> sum_pi_squared{};      // Σ π² over the vocabulary, dimensionless
inline constexpr field<"information_gain", per_token> information_gain{};  // nats

// clang-format off
// Per sequence.
inline constexpr field<"advantage", per_sequence, "advantages"> advantage{};    // reward units
inline constexpr field<"reward", per_sequence> reward{};                        // reward units
inline constexpr field<"score", per_sequence, "score", role::learned> score{};  // a reward model's, now: for wrt(score)
inline constexpr field<"reward_baseline", per_sequence> reward_baseline{};      // of the greedy rollout, reward units
inline constexpr field<"datum_id", per_sequence, "datum_id", role::identity> datum_id{};  // whole number: names the datum in random selections
inline constexpr field<"desirable", per_sequence> desirable{};  // KTO: 1 desirable, 0 undesirable
inline constexpr field<"micro_batch", per_sequence, "micro_batch", role::identity> micro_batch{};  // whole number: a partition of the batch
inline constexpr field<"prompt_id", per_sequence, "prompt_id", role::identity> prompt_id{};  // whole number: a partition of the batch

// Per candidate: K values a target, for top-K distillation.
inline constexpr field<"candidate_logprobs", per_candidate, "logprobs", role::current> candidate_logprobs{};  // the trainer's, now
inline constexpr field<"candidate_teacher_logprobs", per_candidate, "candidate_teacher_logprobs", role::teacher> candidate_teacher_logprobs{};
inline constexpr field<"candidate_ref_logprobs", per_candidate, "candidate_ref_logprobs", role::reference> candidate_ref_logprobs{};
// clang-format on

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
