// SPDX-License-Identifier: Apache-2.0
// What `explain` prints is true: the formula and the derivative are read from the text and evaluated on random ragged
// masked batches, and give the loss and the slope of the engine.
#include <gradwire/gradient/explain.hpp>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <sstream>

#include "../support/larger.hpp"
#include "formulas.hpp"
#include "printed_formula.hpp"
#include "random_batch.hpp"

using namespace gradwire;
using namespace gradwire::fields;

namespace {

using random_batch::doubles;

const printed::functions own = {
    {"softplus", [](const doubles& x) { return std::log1p(std::exp(x[0])); }},
    {"softplus_slope", [](const doubles& x) { return 1 / (1 + std::exp(-x[0])); }},
    {"scaled_by", [](const doubles& x) { return x[0] * x[1] * x[1]; }},
    {"scaled_by_slope_1", [](const doubles& x) { return x[1] * x[1]; }},
    {"scaled_by_slope_2", [](const doubles& x) { return 2 * x[0] * x[1]; }},
};

template <class Loss, class Variable = std::remove_const_t<decltype(logprobs)>>
void check(const char* what, const Loss& loss, Variable variable = {}) {
  const std::string text = explain(loss, wrt(variable)).text();
  BOOST_TEST_CONTEXT(what << "\n" << text) {
    for (unsigned seed : {1u, 2u, 3u}) {
      for (std::size_t masked : {std::size_t{2}, std::size_t{99}}) {
        const auto data = random_batch::make(seed, masked);
        const auto expected = value_and_gradient(loss, wrt(variable), at(data));
        const auto columns = formula::table_of(data);
        printed::reader read(columns, own);
        read.section(text, "formula");
        read.section(text, "derivative");
        BOOST_TEST(std::abs(read["L"].x[0] - expected.loss) <= 1e-10 * std::abs(expected.loss));
        const auto& slope = read["dL/d" + std::string(Variable::info.name)];
        BOOST_REQUIRE((slope.level == Variable::level));
        double largest = 0, worst = 0;
        columns.for_each(Variable::level, [&](std::size_t e) {
          largest = std::max(largest, std::abs(expected.slope.data()[e]));
          worst = larger(worst, std::abs(expected.slope.data()[e] - slope.x[e]));
        });
        BOOST_TEST(largest > 0);
        BOOST_TEST(worst <= 1e-10 * largest);
      }
    }
  }
}

constexpr auto all = [](const char* what, const auto& loss, auto... variable) { check(what, loss, variable...); };

bool has(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

}  // namespace

BOOST_AUTO_TEST_SUITE(explanations)

BOOST_AUTO_TEST_CASE(printed_derivatives_of_presets_are_right) { formulas::presets(all); }

BOOST_AUTO_TEST_CASE(printed_derivatives_of_functions_are_right) { formulas::functions(all); }

BOOST_AUTO_TEST_CASE(printed_derivatives_of_reductions_are_right) { formulas::reductions(all); }

BOOST_AUTO_TEST_CASE(printed_derivatives_of_candidates_and_other_fields_are_right) {
  formulas::candidates_and_other_fields(all);
}

BOOST_AUTO_TEST_CASE(derivatives_read_well) {
  const auto derivative_of = [](const auto& loss) {
    std::string all;
    const auto explained = explain(loss);
    for (const auto& line : explained.lines().derivative()) all += line.name + " = " + line.text + "\n";
    return all;
  };
  BOOST_TEST(derivative_of(sft_nll{}) == "dL/dlogprobs = -weights / total_weight\n");
  auto ratio = let<"ratio">(exp(logprobs - old_logprobs));
  BOOST_TEST(derivative_of(mean_over_all_tokens(-ratio * advantage)) ==
             "dL/dlogprobs = -weights * advantage * ratio / total_weight\n");
  auto margin = let<"margin">(0.1 * (chosen(sum_over_tokens(logprobs)) - rejected(sum_over_tokens(logprobs))));
  BOOST_TEST(derivative_of(mean_over_pairs(-log_sigmoid(margin))) ==
             "x2 = sigmoid(-margin) / counted_groups\n"
             "dL/dlogprobs = 0.1 * weights * (if_rejected(x2) - if_chosen(x2))\n");
}

BOOST_AUTO_TEST_CASE(what_is_read_divided_and_swept_is_said) {
  const std::string text = explain(grpo{}).text();
  BOOST_TEST(has(text, "grpo\n"));
  BOOST_TEST(has(text, "per token      old_logprobs  nats"));
  BOOST_TEST(has(text, "per sequence   advantage     reward units"));
  BOOST_TEST(has(text, "mean_over_tokens      "));
  BOOST_TEST(has(text, "Σ w·x / Σ w over the sequence's tokens"));
  BOOST_TEST(has(text, "passes over the tokens  1"));
  BOOST_TEST(has(explain(gspo{}).text(), "passes over the tokens  2"));
  BOOST_TEST(has(text, "metric kl = "));
  BOOST_TEST(has(text, "On-policy"));
  BOOST_TEST(!has(explain(sft_nll{}).text(), "On-policy"));
  BOOST_TEST(!has(explain(dpo{}).text(), "On-policy"));
  std::ostringstream out;
  out << explain(grpo{});
  BOOST_TEST(out.str() == text);
}

struct follows_its_source {
  using breaks_contract = broken<breaks<rule::mask_isolation, "the sum runs over all positions">>;
  constexpr auto operator()() const { return mean_over_sequences(sum_over_positions(logprobs)); }
};

BOOST_AUTO_TEST_CASE(what_breaks_the_contract_and_what_only_carries_is_said) {
  BOOST_TEST(has(explain(follows_its_source{}).text(), "breaks mask isolation   the sum runs over all positions"));
  const auto carrier = mean_over_all_tokens(advantage * exp(logprobs - stop_gradient(logprobs)));
  BOOST_TEST(
      has(explain(carrier).text(), "logprobs - stop_gradient(logprobs) is 0 and carries the gradient of logprobs"));
}

BOOST_AUTO_TEST_CASE(a_tree_is_explained_without_its_type) {
  const auto explained =
      explain(reflect(dpo{}), {.name = "dpo", .variable = "", .passes = 2, .parameters = {{"beta", "0.1", "per nat"}}});
  BOOST_TEST(explained.options().variable == "logprobs");
  BOOST_TEST(has(explained.text(), "beta = 0.1  per nat"));
  const std::string page = explained.markdown();
  BOOST_TEST(has(page, "## dpo\n"));
  BOOST_TEST(has(page, "```math\nL = "));
  BOOST_TEST(has(page, "\\frac{\\partial L}{\\partial \\ell}"));
  BOOST_TEST(has(page, "| `beta` | 0.1 | per nat |"));
  BOOST_TEST(std::count(page.begin(), page.end(), '{') == std::count(page.begin(), page.end(), '}'));
}

BOOST_AUTO_TEST_CASE(long_lines_are_broken_where_they_can_be_read) {
  const auto x = exp(logprobs - old_logprobs);
  const auto y = exp(ref_logprobs);
  const std::string text =
      explain(mean_over_all_tokens(x * y + square(x - y) * token_advantage + log(x + y) * advantage +
                                   sqrt(x * y + 1) / (x + y + square(x * 2 - y))))
          .text();
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line) && line != "reads";) BOOST_TEST(line.size() <= 125u);
}

BOOST_AUTO_TEST_SUITE_END()
