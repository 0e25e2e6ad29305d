// SPDX-License-Identifier: Apache-2.0
// What the words of an explanation mean: the standard columns with their units, the reductions with their divisors,
// what only derivatives say, and the rules of the contract.
#pragma once

#include <gradwire/gradient/formula_call.hpp>
#include <span>

namespace gradwire::inline v0 {
namespace formula {

struct word_meaning {
  std::string_view word, meaning, latex{};
};

// clang-format off
inline constexpr word_meaning field_meanings[] = {
    {"logprobs", "nats; the trainer's, now", "\\ell"},
    {"old_logprobs", "nats; the policy's when it sampled", "\\ell^{\\mathrm{old}}"},
    {"sampler_logprobs", "nats; the inference engine's own", "\\ell^{\\mathrm{sampler}}"},
    {"ref_logprobs", "nats; a frozen reference model's", "\\ell^{\\mathrm{ref}}"},
    {"teacher_logprobs", "nats; a teacher's for the same tokens", "\\ell^{\\mathrm{teacher}}"},
    {"weights", "dimensionless; 0 masks a token", "w"},
    {"token_advantage", "reward units", "A_t"},
    {"values", "reward units; a critic's, now", "V"},
    {"old_values", "reward units; a critic's when it sampled", "V^{\\mathrm{old}}"},
    {"returns", "reward units; what the critic should say", "R"},
    {"token_reward", "reward units", "R_t"},
    {"sum_pi_squared", "dimensionless; the sum of the squared probabilities over the vocabulary", "\\textstyle\\sum\\pi^2"},
    {"information_gain", "nats"},
    {"advantage", "reward units", "A"},
    {"reward", "reward units", "R"},
    {"score", "reward units; a reward model's, now", "s"},
    {"reward_baseline", "reward units; of the greedy rollout"},
    {"desirable", "1 desirable, 0 undesirable"},
    {"micro_batch", "whole number; a partition of the batch"},
    {"prompt_id", "whole number; a partition of the batch"},
    {"datum_id", "whole number; names the datum in random selections"},
    {"candidate_logprobs", "nats; the trainer's, now", "\\ell_k"},
    {"candidate_teacher_logprobs", "nats; a teacher's", "\\ell^{\\mathrm{teacher}}_k"},
    {"candidate_ref_logprobs", "nats; a frozen reference model's", "\\ell^{\\mathrm{ref}}_k"},
};

// w stands for weights; i for sequences, t for tokens, k for candidates.
inline constexpr word_meaning reduction_meanings[] = {
    {"sum_over_candidates", "Σ x over the token's candidates"},
    {"max_over_candidates", "the largest x of the token's candidates; without a gradient"},
    {"sum_over_tokens", "Σ w·x over the sequence's tokens"},
    {"sum_over_tokens_unweighted", "Σ x over the sequence's tokens with w ≠ 0"},
    {"sum_over_positions", "Σ x over every position of the sequence, masked ones too"},
    {"mean_over_tokens", "Σ w·x / Σ w over the sequence's tokens"},
    {"mean_over_tokens_by_count", "Σ w·x / #(w ≠ 0) over the sequence's tokens"},
    {"max_over_tokens", "the largest x of the sequence's tokens with w ≠ 0; without a gradient"},
    {"min_over_tokens", "the smallest x of the sequence's tokens with w ≠ 0; without a gradient"},
    {"sum_over_sequences", "Σ x over the sequences; of what comes from tokens, those with any w ≠ 0"},
    {"sum_over_every_sequence", "Σ x over the sequences, also those without any w ≠ 0"},
    {"sum_over_every_sequence_of_group", "Σ x over the group's sequences, also those without any w ≠ 0"},
    {"sum_over_every_group", "Σ x over the groups, also those without any w ≠ 0"},
    {"mean_over_sequences", "Σ x / n over the n sequences; of what comes from tokens, those with any w ≠ 0"},
    {"mean_over_sequences<all_masked::counts>", "Σ x over the sequences with any w ≠ 0, divided by the number of all sequences"},
    {"max_over_sequences", "the largest x of the sequences with any w ≠ 0; without a gradient"},
    {"min_over_sequences", "the smallest x of the sequences with any w ≠ 0; without a gradient"},
    {"sum_over_all_tokens", "Σ w·x over the batch's tokens"},
    {"mean_over_all_tokens", "Σ w·x / Σ w over the batch's tokens"},
    {"mean_over_all_tokens_by_count", "Σ w·x / #(w ≠ 0) over the batch's tokens"},
    {"mean_over_all_tokens_where", "Σ w·x / Σ w over the batch's tokens for which the condition holds"},
    {"mean_over_sequences_where", "Σ x / n over the n sequences for which the condition holds"},
    {"sum_over_group", "Σ x over the group's sequences; of what comes from tokens, those with any w ≠ 0"},
    {"mean_over_group", "Σ x / n over the group's n sequences; of what comes from tokens, those with any w ≠ 0"},
    {"sum_over_groups", "Σ x over the groups; of what comes from tokens, those with any w ≠ 0"},
    {"mean_over_groups", "Σ x / n over the n groups; of what comes from tokens, those with any w ≠ 0"},
    {"mean_over_pairs", "Σ x / n over the n pairs; of what comes from tokens, those with any w ≠ 0"},
    {"chosen", "x of the pair's chosen sequence"},
    {"rejected", "x of the pair's rejected sequence"},
    {"sum_within", "Σ x over the sequences with the same value of that column"},
    {"mean_over_tokens_within", "Σ w·x / Σ w over the tokens of the sequences with the same value of that column"},
    {"mean_over_parts", "Σ x / n over the n different values of that column"},
    {"sort_over_batch", "the i-th smallest x, for sequence or group i"},
    {"top_fraction_over_batch", "is x among the largest share of the batch's tokens? without a gradient"},
    {"top_threshold_over_batch", "the smallest x of the largest share of the batch's tokens; without a gradient"},
    {"top_count_over_batch", "is x among the that many largest of the batch's tokens? ties by the hash of the seed; without a gradient"},
    {"smallest_hash_over_batch", "is the token one of that many for which the condition holds, by the hash of the seed? without a gradient"},
    {"selected_over_batch", "is x among the that many largest of the batch's tokens? ties by the hash of the seed; without a gradient"},
    {"std_over_group<0>", "√(Σ (x − mean)² / n) over the group's n sequences"},
    {"std_over_group<1>", "√(Σ (x − mean)² / (n − 1)) over the group's n sequences"},
    {"std_over_sequences<0>", "√(Σ (x − mean)² / n) over the batch's n sequences"},
    {"std_over_sequences<1>", "√(Σ (x − mean)² / (n − 1)) over the batch's n sequences"},
    {"max_over_group", "the largest x of the group; without a gradient"},
    {"min_over_group", "the smallest x of the group; without a gradient"},
    {"second_largest_over_group", "the second largest x of the group; without a gradient"},
    {"second_largest_over_sequences", "the second largest x of the batch; without a gradient"},
    {"centered_over_group", "x − mean of the group"},
    {"centered_over_sequences", "x − mean of the batch"},
    {"leave_one_out_mean", "the mean of x over the other sequences of the group"},
    {"leave_one_out_mean_over_sequences", "the mean of x over the other sequences of the batch"},
};

inline constexpr word_meaning shape_meanings[] = {
    {"position", "the token's place among the sequence's targets: 0, 1, …", "t"},
    {"weight_sum", "Σ w of the sequence", "\\textstyle\\sum_t w"},
    {"weight_count", "tokens of the sequence with w ≠ 0", "\\#_t[w \\ne 0]"},
    {"sequence_length", "targets of the sequence", "\\lvert y\\rvert"},
    {"group_size", "sequences of the group", "G"},
    {"counted_size", "sequences of the group with any w ≠ 0", "G_w"},
    {"total_weight", "Σ w of the batch", "\\textstyle\\sum_{i,t} w"},
    {"total_count", "tokens of the batch with w ≠ 0", "\\#_{i,t}[w \\ne 0]"},
    {"sequence_count", "sequences of the batch", "B"},
    {"counted_sequences", "sequences of the batch with any w ≠ 0", "B_w"},
    {"group_count", "groups of the batch", "P"},
    {"counted_groups", "groups of the batch with any w ≠ 0", "P_w"},
};

inline constexpr word_meaning derivative_meanings[] = {
    {"unmasked", "x where w ≠ 0, 0 elsewhere"},
    {"counted", "x of a sequence with any w ≠ 0, 0 of others"},
    {"counted_group", "x of a group with any w ≠ 0, 0 of others"},
    {"every", "x also of sequences and groups without any w ≠ 0, in a sum that would leave them out"},
    {"if_chosen", "x for the chosen sequence of a pair, 0 for the other"},
    {"if_rejected", "x for the rejected sequence of a pair, 0 for the other"},
    {"unsorted_over_batch", "y, back at the sequence or group from which sort_over_batch(x) took it"},
};
inline constexpr word_meaning function_meanings[] = {
    {"k1", "k1(p, q) = p - q"},
    {"k3", "k3(p, q) = exp(q - p) - (q - p) - 1, exact near 0; k3(d) = exp(d) - d - 1"},
    {"log_sigmoid", "log(1 / (1 + exp(-x)))"},
    {"log1mexp", "log(1 - exp(x))"},
    {"expm1", "exp(x) - 1, exact near 0"},
    {"stop_gradient", "the value, without a gradient"},
    {"value_of", "value_of(x).gradient_of(y): the value of x with the gradient of y"},
    {"divide_or_zero", "x / y, and 0 where y = 0"},
};
// clang-format on

inline std::string_view meaning_of(std::string_view word, std::span<const word_meaning> words) {
  for (const word_meaning& each : words)
    if (each.word == word) return each.meaning;
  return {};
}

inline std::string_view name_of(rule which) {
  constexpr std::string_view names[] = {"on-policy identity",
                                        "permutation invariance",
                                        "padding invariance",
                                        "mask isolation",
                                        "scale",
                                        "zero advantage",
                                        "empty",
                                        "equal rewards",
                                        "chunk invariance"};
  return names[static_cast<unsigned>(which)];
}

}  // namespace formula
}  // namespace gradwire::inline v0
