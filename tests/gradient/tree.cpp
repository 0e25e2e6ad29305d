// SPDX-License-Identifier: Apache-2.0
// The formula at run time: what reflect() makes of a loss, and the interpreter, which evaluates it the plain way,
// against the engine: value, gradient and metrics on random ragged batches with masked tokens and an all-masked
// sequence.
#include <gradwire/gradient/interpret.hpp>
#include <gradwire/loss/dpo.hpp>
#include <gradwire/loss/grpo.hpp>
#include <gradwire/loss/gspo.hpp>
#include <gradwire/loss/gspo_token.hpp>
#include <gradwire/loss/sft_nll.hpp>
#include <gradwire/loss/topk_distillation.hpp>

#include <boost/test/unit_test.hpp>
#include <cmath>

#include "random_batch.hpp"

using namespace gradwire;
using namespace gradwire::fields;
using formula::op_code;

namespace {

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

template <class Batch, class Loss, class Variable>
void check(const char* what, const Loss& loss, Variable variable, const Batch& data) {
  BOOST_TEST_CONTEXT(what) {
    const auto expected = evaluate(loss, wrt(variable), at(data));
    const formula::interpreter run(reflect(loss), formula::table_of(data));
    BOOST_TEST(std::isfinite(expected.loss));
    BOOST_TEST(std::abs(run.loss() - expected.loss) <= 1e-12 * std::abs(expected.loss));
    const int field = run.formula().find_field(Variable::info.name);
    BOOST_REQUIRE(field >= 0);
    const auto& slope = run.adjoint(field);
    BOOST_REQUIRE(slope.size() == expected.slope.size());
    double largest = 0, worst = 0;
    run.data().for_each(Variable::level, [&](std::size_t e) {
      largest = std::max(largest, std::abs(expected.slope.data()[e]));
      worst = std::max(worst, std::abs(expected.slope.data()[e] - slope[e]));
    });
    BOOST_TEST(largest > 0);
    BOOST_TEST(worst <= 1e-12 * largest);
    std::size_t present = 0;
    for (std::size_t i = 0; i < run.formula().metrics.size(); ++i) {
      if (!run.has_metric(i)) continue;
      BOOST_REQUIRE(present < expected.metrics.size());
      BOOST_TEST(run.formula().metrics[i].name == expected.metrics[present].name);
      const double value = expected.metrics[present++].value;
      BOOST_TEST(std::abs(run.metric(i) - value) <= 1e-12 * (1 + std::abs(value)));
    }
    BOOST_TEST(present == expected.metrics.size());
  }
}
template <class Loss, class Variable = decltype(logprobs)>
void check(const char* what, const Loss& loss, Variable variable = {}) {
  for (unsigned seed : {1u, 2u, 3u})
    for (std::size_t masked : {std::size_t{2}, std::size_t{99}})
      check(what, loss, variable, random_batch::make(seed, masked));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tree)

BOOST_AUTO_TEST_CASE(equal_parts_are_one_node_and_operands_come_first) {
  const auto x = exp(logprobs - old_logprobs);
  const formula::tree t = reflect(mean_over_all_tokens(x * x + clamp(x, 0.8, 1.2) + clamp(x, 0.8, 1.3)));
  int differences = 0, exponentials = 0, clamps = 0;
  for (int i = 0; i < t.size(); ++i) {
    for (int j = 0; j < t[i].operands; ++j) BOOST_TEST(t[i].operand[j] < i);
    differences += t[i].is(op_code::subtract);
    exponentials += t[i].is(op_code::exp);
    clamps += t[i].is(op_code::clamp);
  }
  BOOST_TEST(differences == 1);
  BOOST_TEST(exponentials == 1);
  BOOST_TEST(clamps == 2);  // other numbers, another node
  const int field = t.find_field("old_logprobs");
  BOOST_REQUIRE(field >= 0);
  BOOST_TEST((t[field].level == extent::token));
  BOOST_TEST(t.find_field("reward") == -1);
}

BOOST_AUTO_TEST_CASE(names_metrics_and_detached_values_are_kept) {
  const auto ratio = let<"ratio">(exp(logprobs - old_logprobs));
  const formula::tree t = reflect(objective(mean_over_all_tokens(stop_gradient(ratio) * logprobs),
                                            metric<"largest">(max_over_all_tokens(ratio)),
                                            metric<"share">(mean_over_all_tokens(ratio > 1))));
  const int let = t.find_let("ratio");
  BOOST_REQUIRE(let >= 0);
  BOOST_TEST(t[t[let].operand[0]].is(op_code::exp));
  BOOST_REQUIRE(t.metrics.size() == 2u);
  BOOST_TEST(t.metrics[0].name == "largest");
  BOOST_TEST(t[t.metrics[0].node].is(formula::reduction_kind::largest));
  BOOST_TEST(t[t.metrics[0].node].detached);
  int stopped = 0, truths = 0;
  for (const auto& n : t.nodes) {
    stopped += n.is(op_code::stop_gradient) && n.detached;
    truths += n.truth;
  }
  BOOST_TEST(stopped == 1);
  BOOST_TEST(truths == 1);
}

BOOST_AUTO_TEST_CASE(one_name_for_two_numbers_is_refused) {
  BOOST_CHECK_EXCEPTION(reflect(mean_over_all_tokens(let<"scaled">(2 * logprobs) + let<"scaled">(3 * logprobs))), error,
                        [](const error& e) { return e.kind() == errc::config; });
}

BOOST_AUTO_TEST_CASE(a_users_operation_has_its_own_name_value_and_slope) {
  const formula::tree t = reflect(mean_over_all_tokens(scaled_by_square(softplus(logprobs), old_logprobs)));
  const formula::op_info *one = nullptr, *two = nullptr;
  for (const auto& n : t.nodes)
    if (n.is(op_code::own)) (n.op->arity == 1 ? one : two) = n.op;
  BOOST_REQUIRE(one);
  BOOST_REQUIRE(two);
  BOOST_TEST(one->name == "softplus");
  BOOST_TEST(two->name == "scaled_by");
  const double x[] = {0.3, -1.5};
  BOOST_TEST(one->value(x) == std::log1p(std::exp(0.3)), boost::test_tools::tolerance(1e-15));
  BOOST_TEST(one->slope(x, one->value(x), 0) == 1 / (1 + std::exp(-0.3)), boost::test_tools::tolerance(1e-15));
  BOOST_TEST(two->value(x) == 0.3 * 2.25, boost::test_tools::tolerance(1e-15));
  BOOST_TEST(two->slope(x, two->value(x), 0) == 2.25, boost::test_tools::tolerance(1e-15));
  BOOST_TEST(two->slope(x, two->value(x), 1) == -0.9, boost::test_tools::tolerance(1e-15));
}

BOOST_AUTO_TEST_CASE(the_interpreter_agrees_on_presets) {
  check("sft_nll", sft_nll{});
  check("sft_nll_sum", sft_nll_sum{});
  check("grpo", grpo{});
  check("gspo", gspo{});
  check("gspo_token", gspo_token{});
  check("dpo", dpo{.beta = 0.7, .label_smoothing = 0.1});
  check("topk_distillation", topk_distillation{}, candidate_logprobs);
  check("a sum", 0.3 * dpo{.beta = 0.3}() + 0.1 * sft_nll{}());
}

BOOST_AUTO_TEST_CASE(the_interpreter_agrees_on_functions) {
  check("own", mean_over_all_tokens(scaled_by_square(softplus(logprobs), logprobs - old_logprobs)));
  check("smooth", mean_over_all_tokens(exp(logprobs - old_logprobs) + expm1(logprobs) + log1p(-0.3 * logprobs) +
                                       log(0.1 - logprobs) + sqrt(1 - logprobs) + square(logprobs) + sigmoid(logprobs) +
                                       log_sigmoid(2 * logprobs) + log1mexp(logprobs) + 1 / (2 - logprobs) +
                                       divide_or_zero(logprobs, 3 - ref_logprobs) + k3(logprobs, ref_logprobs)));
  const auto ratio = exp(logprobs - old_logprobs);
  check("choices",
        mean_over_all_tokens(where(token_advantage > 0 && !(ratio < 0.9), square(ratio), 3 * ratio) +
                             max(ratio, 1 - ratio) * advantage + abs(logprobs - ref_logprobs) +
                             clamp(ratio, 0.8, 0.8 + exp(logprobs - ref_logprobs)) + (ratio > 1) * logprobs));
  check("straight through",
        mean_over_all_tokens(value_of(square(logprobs)).gradient_of(3 * logprobs) + stop_gradient(ratio) * logprobs));
}

BOOST_AUTO_TEST_CASE(the_interpreter_agrees_on_reductions) {
  const auto score = mean_over_tokens(logprobs);
  check("imports", mean_over_sequences(mean_over_tokens(square(logprobs - score) * exp(score))));
  check("batch import", mean_over_all_tokens(square(logprobs - mean_over_all_tokens(logprobs)) * logprobs));
  check("group import", mean_over_all_tokens(square(logprobs - mean_over_group(score))));
  check("log of masked", mean_over_groups(square(mean_over_group(log(0.0 - score)))));
  check("positions", mean_over_sequences(sum_over_positions(square(logprobs) * terminals::position)));
  check("own weights", mean_over_all_tokens(square(logprobs), exp(old_logprobs)));
  check("own weights by sequence", mean_over_sequences(mean_over_tokens(square(logprobs), exp(old_logprobs))));
  check("counts", mean_over_sequences<all_masked::counts>(mean_over_tokens_by_count(square(logprobs))));
  check("extremes",
        objective(mean_over_all_tokens(logprobs * max_over_tokens(ref_logprobs)),
                  metric<"largest">(max_over_all_tokens(logprobs)), metric<"smallest">(min_over_all_tokens(logprobs)),
                  metric<"rewards">(mean_over_sequences(reward))));
  check("parts", mean_over_parts(micro_batch, square(mean_over_tokens_within(micro_batch, logprobs))));
  check("sorted", mean_over_sequences(sort_over_batch(score) * square(sort_over_batch(score)) * reward));
  check("groups sorted", mean_over_groups(sort_over_batch(sum_over_group(score)) * mean_over_group(reward)));
  check("selection",
        mean_over_all_tokens(where(top_fraction_over_batch(logprobs * token_advantage, 0.3), logprobs, 0)));
  check("counted selection", mean_over_all_tokens(where(top_count_over_batch(token_advantage, token_share(0.2)),
                                                        square(logprobs), logprobs)));
  check("random selection",
        mean_over_all_tokens(where(smallest_hash_over_batch(token_advantage > 0, 9, 42), square(logprobs), logprobs)));
  check("statistics", mean_over_sequences(centered_over_group(score) * reward / (std_over_group<1>(score) + 0.5) +
                                          leave_one_out_mean(score) * centered_over_sequences(square(score)) *
                                              std_over_sequences<0>(score)));
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

BOOST_AUTO_TEST_CASE(the_interpreter_agrees_on_candidates) {
  const auto p = exp(candidate_teacher_logprobs);
  const auto student = candidate_logprobs - log(sum_over_candidates(exp(candidate_logprobs)));
  check("renormalised", mean_over_all_tokens(-sum_over_candidates(p * student)), candidate_logprobs);
  check("nested",
        mean_over_all_tokens(square(sum_over_candidates(p * square(student * logprobs))) +
                             max_over_candidates(candidate_teacher_logprobs) * sum_over_candidates(candidate_logprobs)),
        candidate_logprobs);
  check("by token", mean_over_all_tokens(sum_over_candidates(p * square(candidate_teacher_logprobs * logprobs))),
        logprobs);
}

BOOST_AUTO_TEST_CASE(other_fields_are_variables_too) {
  check("values",
        mean_over_all_tokens(
            max(square(values - returns), square(clamp(values, old_values - 0.2, old_values + 0.2) - returns))),
        values);
  check("scores", mean_over_pairs(-log_sigmoid(chosen(score) - rejected(score))), score);
}

// What a change of one value does, with everything detached held where it was, is what the gradient says.
BOOST_AUTO_TEST_CASE(a_perturbed_loss_follows_the_gradient) {
  const auto data = random_batch::make(7, 2);
  const auto ratio = exp(logprobs - old_logprobs);
  const auto loss =
      mean_over_sequences(mean_over_tokens(stop_gradient(ratio) * square(logprobs) - min(ratio, 1.1) * advantage)) +
      mean_over_all_tokens(value_of(square(logprobs)).gradient_of(3 * logprobs)) +
      mean_over_sequences(sort_over_batch(mean_over_tokens(logprobs)) * reward);
  formula::interpreter run(reflect(loss), formula::table_of(data));
  const int field = run.formula().find_field("logprobs");
  const double h = 1e-5;
  double worst = 0, largest = 0;
  int kinks = 0, compared = 0;
  for (const std::size_t e : run.data().tokens) {
    const auto up = run.perturbed(field, e, h), down = run.perturbed(field, e, -h);
    if (up.kink >= 0 || down.kink >= 0) {
      ++kinks;
      continue;
    }
    ++compared;
    worst = std::max(worst, std::abs((up.loss - down.loss) / (2 * h) - run.adjoint(field)[e]));
    largest = std::max(largest, std::abs(run.adjoint(field)[e]));
  }
  BOOST_TEST(worst < 1e-7 * largest);
  BOOST_TEST(compared > 4 * kinks);
  BOOST_TEST(run.perturbed(field, run.data().tokens[0], 0).loss == run.loss());

  bool found = false;  // a step over the bound of min is seen
  for (const std::size_t e : run.data().tokens) {
    const double x = std::exp(run.value(field)[e] - run.value(run.formula().find_field("old_logprobs"))[e]);
    if (run.adjoint(field)[e] == 0 || x > 1.1) continue;
    const auto far = run.perturbed(field, e, 2);
    found = found || (far.kink >= 0 && run.formula()[far.kink].is(op_code::minimum) && far.kink_element == e);
  }
  BOOST_TEST(found);
}

BOOST_AUTO_TEST_SUITE_END()
