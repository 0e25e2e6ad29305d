// SPDX-License-Identifier: Apache-2.0
// What `explain` prints is true: the formula and the derivative are read from the text and evaluated on random ragged
// masked batches, and give the loss and the slope of the engine.
#include <gradwire/gradient/explain.hpp>
#include <gradwire/loss/dpo.hpp>
#include <gradwire/loss/grpo.hpp>
#include <gradwire/loss/gspo.hpp>
#include <gradwire/loss/gspo_token.hpp>
#include <gradwire/loss/sft_nll.hpp>
#include <gradwire/loss/topk_distillation.hpp>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <sstream>

#include "printed_formula.hpp"
#include "random_batch.hpp"

using namespace gradwire;
using namespace gradwire::fields;

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

struct scaled_by_op {  // x·y²
  template <class V>
  static V value(V x, V y) {
    return x * y * y;
  }
  template <bool A, bool B, class V>
  static V slope(V x, V y, V, V dx, V dy) {
    V d = V::broadcast(0);
    if constexpr (A) d = d + dx * y * y;
    if constexpr (B) d = d + x * dy * (y + y);
    return d;
  }
};
inline constexpr function<scaled_by_op> scaled_by{};

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
          worst = std::max(worst, std::abs(expected.slope.data()[e] - slope.x[e]));
        });
        BOOST_TEST(largest > 0);
        BOOST_TEST(worst <= 1e-10 * largest);
      }
    }
  }
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

}  // namespace

BOOST_AUTO_TEST_SUITE(explanations)

BOOST_AUTO_TEST_CASE(printed_derivatives_of_presets_are_right) {
  check("sft_nll", sft_nll{});
  check("sft_nll_sum", sft_nll_sum{});
  check("grpo", grpo{});
  check("gspo", gspo{});
  check("gspo_token", gspo_token{});
  check("dpo", dpo{.beta = 0.7, .label_smoothing = 0.1});
  check("topk_distillation", topk_distillation{}, candidate_logprobs);
  check("a sum", 0.3 * dpo{.beta = 0.3}() + 0.1 * sft_nll{}());
}

BOOST_AUTO_TEST_CASE(printed_derivatives_of_functions_are_right) {
  check("own", mean_over_all_tokens(scaled_by(softplus(logprobs), logprobs - old_logprobs)));
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

BOOST_AUTO_TEST_CASE(printed_derivatives_of_reductions_are_right) {
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
}

BOOST_AUTO_TEST_CASE(printed_derivatives_of_candidates_and_other_fields_are_right) {
  const auto p = exp(candidate_teacher_logprobs);
  const auto student = candidate_logprobs - log(sum_over_candidates(exp(candidate_logprobs)));
  check("renormalised", mean_over_all_tokens(-sum_over_candidates(p * student)), candidate_logprobs);
  check("nested", mean_over_all_tokens(square(sum_over_candidates(p * square(student * logprobs)))),
        candidate_logprobs);
  check("by token", mean_over_all_tokens(sum_over_candidates(p * square(candidate_teacher_logprobs * logprobs))));
  check("values",
        mean_over_all_tokens(
            max(square(values - returns), square(clamp(values, old_values - 0.2, old_values + 0.2) - returns))),
        values);
  check("scores", mean_over_pairs(-log_sigmoid(chosen(score) - rejected(score))), score);
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
