// SPDX-License-Identifier: Apache-2.0
// The formula at run time: what reflect() makes of a loss, and the interpreter, which evaluates it the plain way,
// against the engine: value, gradient and metrics on random ragged batches with masked tokens and an all-masked
// sequence.
#include <gradwire/gradient/interpret.hpp>

#include <boost/test/unit_test.hpp>
#include <cmath>

#include "../support/larger.hpp"
#include "formulas.hpp"
#include "random_batch.hpp"

using namespace gradwire;
using namespace gradwire::fields;
using formula::op_code;

namespace {

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
      worst = larger(worst, std::abs(expected.slope.data()[e] - slope[e]));
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

constexpr auto all = [](const char* what, const auto& loss, auto... variable) { check(what, loss, variable...); };

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
  const formula::tree t =
      reflect(mean_over_all_tokens(formulas::scaled_by_square(formulas::softplus(logprobs), old_logprobs)));
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

BOOST_AUTO_TEST_CASE(the_interpreter_agrees_on_presets) { formulas::presets(all); }

BOOST_AUTO_TEST_CASE(the_interpreter_agrees_on_functions) { formulas::functions(all); }

BOOST_AUTO_TEST_CASE(the_interpreter_agrees_on_reductions) { formulas::reductions(all); }

BOOST_AUTO_TEST_CASE(the_interpreter_agrees_on_candidates_and_other_fields) {
  formulas::candidates_and_other_fields(all);
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
    worst = larger(worst, std::abs((up.loss - down.loss) / (2 * h) - run.adjoint(field)[e]));
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
