// SPDX-License-Identifier: Apache-2.0
// Formulas with every operation, reduction and level of the language, for the tests that hold one walk over a formula
// to another: `check(name, loss)`, or `check(name, loss, variable)` where the variable is not logprobs, is called for
// each.
#pragma once

#include <gradwire/loss/dpo.hpp>
#include <gradwire/loss/grpo.hpp>
#include <gradwire/loss/gspo.hpp>
#include <gradwire/loss/gspo_token.hpp>
#include <gradwire/loss/sft_nll.hpp>
#include <gradwire/loss/topk_distillation.hpp>

namespace formulas {

using namespace gradwire;
using namespace gradwire::fields;

// A user's own functions.
struct softplus_op {  // log(1 + e^x)
  template <class V>
  static V value(V x) {
    return log1p(exp(x));
  }
  template <class V>
  static V derivative(V x, V) {
    return sigmoid(x);
  }
};
inline constexpr function<softplus_op> softplus{};

template <int Power>
struct scaled_by_op {  // x·y^Power
  template <class V>
  static V value(V x, V y) {
    return Power == 2 ? x * y * y : x * y;
  }
  template <bool A, bool B, class V>
  static V slope(V x, V y, V, V dx, V dy) {
    V d = V::broadcast(0);
    if constexpr (A) d = d + dx * (Power == 2 ? y * y : y);
    if constexpr (B) d = d + x * dy * (Power == 2 ? y + y : V::broadcast(1));
    return d;
  }
};
inline constexpr function<scaled_by_op<2>> scaled_by_square{};

template <class Check>
void presets(const Check& check) {
  check("sft_nll", sft_nll{});
  check("sft_nll_sum", sft_nll_sum{});
  check("grpo", grpo{});
  check("gspo", gspo{});
  check("gspo_token", gspo_token{});
  check("dpo", dpo{.beta = 0.7, .label_smoothing = 0.1});
  check("topk_distillation", topk_distillation{}, candidate_logprobs);
  check("a sum", 0.3 * dpo{.beta = 0.3}() + 0.1 * sft_nll{}());
}

template <class Check>
void functions(const Check& check) {
  check("own", mean_over_all_tokens(scaled_by_square(softplus(logprobs), logprobs - old_logprobs)));
  check("smooth", mean_over_all_tokens(exp(logprobs - old_logprobs) + expm1(logprobs) + log1p(-0.3 * logprobs) +
                                       log(0.1 - logprobs) + sqrt(1 - logprobs) + square(logprobs) + sigmoid(logprobs) +
                                       log_sigmoid(2 * logprobs) + log1mexp(logprobs) + 1 / (2 - logprobs) +
                                       logprobs / (3 - ref_logprobs) + divide_or_zero(logprobs, logprobs - 3) +
                                       2 * k3(logprobs, ref_logprobs) + k2(logprobs, ref_logprobs)));
  const auto ratio = exp(logprobs - old_logprobs);
  check("ppo", mean_over_all_tokens(-min(ratio * advantage, clamp(ratio, 0.8, 1.2) * advantage)));
  check("choices",
        mean_over_all_tokens(where(token_advantage > 0 && !(ratio < 0.9), square(ratio), 3 * ratio) +
                             max(ratio, 1 - ratio) * advantage + abs(logprobs - ref_logprobs) +
                             clamp(ratio, 0.8, 0.8 + exp(logprobs - ref_logprobs)) + (ratio > 1) * logprobs));
  check("straight through",
        mean_over_all_tokens(value_of(square(logprobs)).gradient_of(3 * logprobs) + stop_gradient(ratio) * logprobs));
}

template <class Check>
void reductions(const Check& check) {
  const auto score = mean_over_tokens(logprobs);
  check("imports", mean_over_sequences(mean_over_tokens(square(logprobs - score) * exp(score))));
  check("batch import", mean_over_all_tokens(square(logprobs - mean_over_all_tokens(logprobs)) * logprobs));
  check("group import", mean_over_all_tokens(square(logprobs - mean_over_group(score))));
  check("unweighted import", sum_over_sequences(sum_over_tokens_unweighted(square(logprobs - score) * logprobs)));
  check("log of masked", mean_over_groups(square(mean_over_group(log(0.0 - score)))));
  check("group sums", mean_over_groups(square(sum_over_group(score)) * mean_over_group(reward)));
  check("centred by hand", mean_over_sequences(square(score - mean_over_group(score)) * reward));
  check("positions", mean_over_sequences(sum_over_positions(square(logprobs) * terminals::position)));
  check("positions of masked", mean_over_sequences(square(sum_over_positions(logprobs) - mean_over_tokens(logprobs))));
  check("own weights", mean_over_all_tokens(square(logprobs), exp(old_logprobs)));
  check("own weights by sequence", mean_over_sequences(mean_over_tokens(square(logprobs), exp(old_logprobs))));
  check("counts", mean_over_sequences<all_masked::counts>(mean_over_tokens_by_count(square(logprobs))));
  check("parts", mean_over_parts(micro_batch, square(mean_over_tokens_within(micro_batch, softplus(logprobs)))));
  check("within", mean_over_sequences(square(sum_within(micro_batch, score * reward)) * score));
  check("sorted", mean_over_sequences(sort_over_batch(score) * square(sort_over_batch(score)) * reward));
  check("groups sorted", mean_over_groups(sort_over_batch(sum_over_group(score)) * mean_over_group(reward)));
  check("where, clamp, sort, partition", [&] {
    auto weighed = let<"weighed">(mean_over_tokens(clamp(exp(logprobs - old_logprobs), 0.8, 1.1) * token_advantage));
    auto level = let<"level">(mean_over_tokens_within(prompt_id, logprobs));
    return mean_over_sequences(where(reward > 0, sort_over_batch(weighed), square(weighed)) * (weighed - level)) +
           0.5 * mean_over_parts(micro_batch, square(mean_over_tokens_within(micro_batch, logprobs)));
  }());
  check("selection",
        mean_over_all_tokens(where(top_fraction_over_batch(logprobs * token_advantage, 0.3), logprobs, 0)));
  check("counted selection", mean_over_all_tokens(where(top_count_over_batch(token_advantage, token_share(0.2)),
                                                        square(logprobs), logprobs)));
  check("statistics", mean_over_sequences(centered_over_group(score) * reward / (std_over_group<1>(score) + 0.5) +
                                          leave_one_out_mean(score) * centered_over_sequences(square(score)) *
                                              std_over_sequences<0>(score)));
  check("extremes",
        objective(mean_over_all_tokens(logprobs * max_over_tokens(ref_logprobs)),
                  metric<"largest">(max_over_all_tokens(logprobs)), metric<"smallest">(min_over_all_tokens(logprobs)),
                  metric<"rewards">(mean_over_sequences(reward))));
  check("random selection",
        mean_over_all_tokens(where(smallest_hash_over_batch(token_advantage > 0, 9, 42), square(logprobs), logprobs)));
  check("data statistics",
        mean_over_sequences(score * centered_over_group(reward) *
                            (max_over_group(reward) - min_over_group(reward) + second_largest_over_group(reward) +
                             second_largest_over_sequences(reward))));
  check("conditional metrics", objective(mean_over_all_tokens(logprobs),
                                         metric<"positive">(mean_over_all_tokens_where(logprobs, token_advantage > 0)),
                                         metric<"none">(mean_over_all_tokens_where(logprobs, token_advantage > 2)),
                                         metric<"sequences">(mean_over_sequences_where(score, advantage < 0)),
                                         metric<"spread">(std_over_all_tokens<1>(logprobs))));
}

template <class Check>
void candidates_and_other_fields(const Check& check) {
  const auto p = exp(candidate_teacher_logprobs);
  const auto student = candidate_logprobs - log(sum_over_candidates(exp(candidate_logprobs)));
  check("renormalised", mean_over_all_tokens(-sum_over_candidates(p * student)), candidate_logprobs);
  check("nested", mean_over_all_tokens(square(sum_over_candidates(p * square(student * logprobs)))),
        candidate_logprobs);
  check("nested, a largest",
        mean_over_all_tokens(square(sum_over_candidates(p * square(student * logprobs))) +
                             max_over_candidates(candidate_teacher_logprobs) * sum_over_candidates(candidate_logprobs)),
        candidate_logprobs);
  check("by token", mean_over_all_tokens(sum_over_candidates(p * square(candidate_teacher_logprobs * logprobs))));
  check("values",
        mean_over_all_tokens(
            max(square(values - returns), square(clamp(values, old_values - 0.2, old_values + 0.2) - returns))),
        values);
  check("scores", mean_over_pairs(-log_sigmoid(chosen(score) - rejected(score))), score);
}

}  // namespace formulas
