// SPDX-License-Identifier: Apache-2.0
// What takes no part moves nothing, even where it is infinite: branches that are not taken across a reduction, columns
// of sequences without weights, metrics that nothing can be averaged for. Expected numbers are worked out by hand.
#include <gradwire/gradient/check_gradient.hpp>
#include <gradwire/gradient/culprit.hpp>
#include <gradwire/loss.hpp>

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cmath>
#include <limits>

using namespace gradwire;
using namespace gradwire::fields;

namespace {

using doubles = std::vector<double>;
const double unknown = std::numeric_limits<double>::quiet_NaN();

auto one(const doubles& w, const doubles& now, const doubles& old, double a, double r) {
  return datum{prompt(std::vector<int>(w.size() + 1, 7)),
               weights = w,
               logprobs = now,
               old_logprobs = old,
               ref_logprobs = old,
               advantage = a,
               reward = r};
}
template <class T, class... Ds>
auto batch_from(const Ds&... ds) {
  return batch_of<T>(group(ds...));
}
template <class Result>
void check_slope(const Result& result, std::size_t s, const doubles& expected, double within) {
  for (std::size_t t = 0; t < expected.size(); ++t)
    BOOST_TEST(std::abs(static_cast<double>(result.slope[s][t]) - expected[t]) <= within * std::abs(expected[t]),
               "slope " << s << ' ' << t << ": " << result.slope[s][t] << ", not " << expected[t]);
}
template <class T>
constexpr double rounding = sizeof(T) == 4 ? 1e-6 : 1e-14;

}  // namespace

BOOST_AUTO_TEST_SUITE(untaken)

// A sequence is dropped because one of its ratios is e^98.9: infinite in float. The other: -r·A/2 of two tokens, over
// two sequences.
BOOST_AUTO_TEST_CASE(a_dropped_sequence_moves_nothing) {
  const auto lr = logprobs - old_logprobs;
  const auto loss =
      mean_over_sequences(where(max_over_tokens(abs(lr)) < 5.0, mean_over_tokens(-exp(lr) * advantage), 0.0));
  const auto check = [&]<class T>(T) {
    const auto data = batch_from<T>(one({1, 1}, {-1, -0.1}, {-1, -99}, 1, 0), one({1, 1}, {-1, -2}, {-1, -2}, -1, 0));
    const auto result = value_and_gradient(loss, wrt(logprobs), at(data));
    BOOST_TEST(result.loss == 0.5);
    check_slope(result, 0, {0, 0}, 0);
    check_slope(result, 1, {0.25, 0.25}, rounding<T>);
    BOOST_TEST(!find_culprit(loss, at(data)));
  };
  check(1.0f);
  check(1.0);
}

// log(1 − e^0) is -inf; the sequence with the positive advantage does not take it.
BOOST_AUTO_TEST_CASE(a_branch_over_tokens_that_is_not_taken_moves_nothing) {
  const auto loss =
      mean_over_sequences(where(advantage < 0.0, mean_over_tokens(-log1mexp(logprobs)), mean_over_tokens(-logprobs)));
  const auto check = [&]<class T>(T) {
    const double half = -std::log(2);  // the slope of -log(1 − e^x) there: e^x/(1 − e^x) = 1
    const auto data = batch_from<T>(one({1, 1}, {0, -1}, {-1, -1}, 1, 0), one({1}, {half}, {-1}, -1, 0));
    const auto result = value_and_gradient(loss, wrt(logprobs), at(data));
    BOOST_TEST(result.loss == (0.5 + std::log(2)) / 2, boost::test_tools::tolerance(1e-6));
    check_slope(result, 0, {-0.25, -0.25}, rounding<T>);
    check_slope(result, 1, {0.5}, rounding<T>);
  };
  check(1.0f);
  check(1.0);
}

// The same behind a factor of 0, a minimum, a stopped condition of a group, and in a sweep that only writes slopes.
BOOST_AUTO_TEST_CASE(an_adjoint_of_zero_hides_an_infinite_slope) {
  const auto data = batch_from<double>(one({1, 1}, {0, -1}, {-1, -1}, 1, 1), one({1, 1}, {-4, -1}, {-1, -1}, -1, 0));
  const auto steep = sum_over_tokens(sqrt(-logprobs));  // the slope at 0 is infinite, at -4 it is -1/4, at -1 -1/2
  const auto slope_of = [&](const auto& loss) { return value_and_gradient(loss, wrt(logprobs), at(data)); };
  {
    const auto result =
        slope_of(sum_over_sequences(where(advantage < 0, 1.0, 0.0) * steep + sum_over_tokens(logprobs)));
    check_slope(result, 0, {1, 1}, 0);
    check_slope(result, 1, {0.75, 0.5}, 1e-15);
  }
  {
    const auto result = slope_of(sum_over_sequences(min(steep, 0.5) + sum_over_tokens(logprobs)));
    check_slope(result, 0, {1, 1}, 0);
    check_slope(result, 1, {1, 1}, 0);
  }
  {  // (Σ√)² where the other sequence is taken: 2·3·(-1/4), 2·3·(-1/2)
    const auto result = slope_of(sum_over_sequences(where(reward > 0.5, sum_over_tokens(logprobs), square(steep))));
    check_slope(result, 0, {1, 1}, 0);
    check_slope(result, 1, {-1.5, -3}, 1e-15);
  }
  {  // a per-sequence value that is read per token: l·S in the one branch
    const auto result = slope_of(
        sum_over_sequences(where(advantage < 0, sum_over_tokens(logprobs * steep), sum_over_tokens(square(logprobs)))));
    check_slope(result, 0, {0, -2}, 0);
    check_slope(result, 1, {3 - 5 * -0.25, 3 - 5 * -0.5}, 1e-15);  // S + (Σ l)·dS/dl, S = 3, Σ l = -5
  }
}

BOOST_AUTO_TEST_CASE(a_candidate_of_a_dropped_token_moves_nothing) {
  datum d{prompt(std::vector<int>{1}) + response(std::vector<int>{2}),
          candidates = std::vector<std::vector<int>>{{1, 2}}, candidate_logprobs = std::vector<doubles>{{0.0, -1.0}},
          advantage = 1.0};
  const auto data = batch_of<double>(d);
  const auto loss = sum_over_all_tokens(
      where(advantage < 0, sum_over_candidates(sqrt(-candidate_logprobs)), sum_over_candidates(candidate_logprobs)));
  const auto result = value_and_gradient(loss, wrt(candidate_logprobs), at(data));
  BOOST_TEST(result.loss == -1);
  BOOST_TEST(result.slope.plane(0, 0)[0] == 1);
  BOOST_TEST(result.slope.plane(0, 1)[0] == 1);
}

// A group of 30000: the mean over it takes about as long as the one over the batch, not 30000 times that.
BOOST_AUTO_TEST_CASE(a_mean_over_a_large_group_is_linear) {
  const std::vector members(30000, one({1}, {-0.5}, {-0.5}, 1, 1));
  const auto data = batch_of<double>(group(members));
  const auto seconds = [&](const auto& loss) {
    double best = 1e9;
    for (int i = 0; i < 3; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      BOOST_TEST(value_and_gradient(loss, wrt(logprobs), at(data)).loss == 1.0, boost::test_tools::tolerance(1e-12));
      best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    }
    return best;
  };
  const auto x = exp(logprobs - old_logprobs);
  const double by_group =
      seconds(mean_over_groups(mean_over_group(mean_over_tokens(x) * mean_over_group(mean_over_tokens(x)))));
  const double by_batch = seconds(mean_over_sequences(mean_over_tokens(x)));
  BOOST_TEST(by_group < 200 * by_batch);  // far from both, whatever else the machine does
}

namespace {
struct named_op {  // an operation of one's own with a member `name`
  static constexpr fixed_string name{"double"};
  template <class V>
  static V value(V x) {
    return x + x;
  }
  template <class V>
  static V derivative(V, V) {
    return V::broadcast(2);
  }
};
inline constexpr function<named_op> doubled{};
}  // namespace

// Its numbers are the formula's: ((l·2 doubled)·3, l = -1 -2: mean -1.5·12 = -18.
BOOST_AUTO_TEST_CASE(an_operation_with_a_name_is_no_let) {
  const auto data = batch_from<double>(one({1, 1}, {-1, -2}, {-1, -2}, 1, 1));
  const auto result = value_and_gradient(mean_over_all_tokens(doubled(logprobs * 2.0) * 3.0), wrt(logprobs), at(data));
  BOOST_TEST(result.loss == -18);
  check_slope(result, 0, {6, 6}, 0);
}

// Group of rewards 1, 3 and one that nobody knows, of a sequence without weights.
BOOST_AUTO_TEST_CASE(a_column_that_is_not_finite_takes_no_part_where_everything_is_masked) {
  const auto data = batch_of<double>(group(one({0, 0}, {unknown, -1}, {-1, unknown}, unknown, unknown),
                                           one({1}, {-2}, {-1}, 1, 1), one({1}, {-4}, {-1}, -1, 3)));
  const auto weighted = [&](const auto& x) {
    return value_and_gradient(sum_over_sequences(x * sum_over_tokens(logprobs)), wrt(logprobs), at(data));
  };
  const auto check = [&](const auto& x, double first, double second) {
    const auto result = weighted(x);
    BOOST_TEST(result.loss == -2 * first - 4 * second, boost::test_tools::tolerance(1e-14));
    check_slope(result, 0, {0, 0}, 0);
    check_slope(result, 1, {first}, 1e-14);
    check_slope(result, 2, {second}, 1e-14);
    const auto compared = check_gradient(sum_over_sequences(x * sum_over_tokens(logprobs)), at(data));
    BOOST_TEST(compared.ok(), compared.text());
  };
  check(centered_over_group(reward), -1, 1);
  check(leave_one_out_mean(reward), 3, 1);
  check(std_over_group<0>(reward), 1, 1);
  check(std_over_sequences<1>(reward), std::sqrt(2), std::sqrt(2));
  check(max_over_group(reward), 3, 3);
  check(min_over_group(reward), 1, 1);
  check(second_largest_over_group(reward), 1, 1);
  check(sum_over_group(reward), 4, 4);
  check(sum_over_sequences(reward), 4, 4);
  check(mean_over_group(reward), 4.0 / 3, 4.0 / 3);  // a column's mean divides by every sequence
  check(sum_within(reward, reward), 1, 3);
  check(sort_over_batch(reward), 1, 3);
  // with respect to the column: 2·r/3 each, 0 where it is masked
  const auto result = value_and_gradient(mean_over_sequences(square(reward)), wrt(reward), at(data));
  BOOST_TEST(result.loss == 10.0 / 3, boost::test_tools::tolerance(1e-14));
  BOOST_TEST(result.slope.data()[0] == 0);
  BOOST_TEST(result.slope.data()[1] == 2.0 / 3, boost::test_tools::tolerance(1e-14));
  BOOST_TEST(result.slope.data()[2] == 2.0, boost::test_tools::tolerance(1e-14));
}

// Weights of both signs: the sum of the loss is defined, the metric's mean is not.
BOOST_AUTO_TEST_CASE(a_metric_that_cannot_divide_is_absent) {
  const auto data = batch_from<double>(one({1, -2}, {-1, -2}, {-1, -1}, 1, 1), one({2}, {-3}, {-1}, 1, 1));
  const auto loss = sum_over_all_tokens(logprobs);
  const auto with_metrics = objective(loss, metric<"by_sequence">(mean_over_sequences(mean_over_tokens(logprobs))),
                                      metric<"by_token">(mean_over_all_tokens(logprobs)),
                                      metric<"by_count">(mean_over_all_tokens_by_count(logprobs)));
  const auto result = evaluate(with_metrics, wrt(logprobs), at(data));
  BOOST_TEST(result.loss == -3);  // -1 + 4 - 6
  BOOST_REQUIRE(result.metrics.size() == 2u);
  BOOST_TEST(result.metrics[0].name == "by_token");
  BOOST_TEST(result.metrics[0].value == -3);  // over 1 - 2 + 2
  BOOST_TEST(result.metrics[1].name == "by_count");
  BOOST_TEST(result.metrics[1].value == -1);
  BOOST_CHECK_THROW(value_and_gradient(mean_over_sequences(mean_over_tokens(logprobs)), wrt(logprobs), at(data)),
                    error);
}

// n·x/n may be off by a rounding: 49 values of 0.1 … 0.8.
BOOST_AUTO_TEST_CASE(equal_tokens_have_no_deviation_and_no_slope) {
  for (int i = 1; i < 9; ++i) {
    const doubles same(49, -0.1 * i);
    const auto data = batch_from<double>(one(doubles(49, 1.0), same, same, 1, 1));
    const auto result =
        value_and_gradient(std_over_all_tokens(logprobs) + mean_over_all_tokens(logprobs), wrt(logprobs), at(data));
    BOOST_TEST(result.loss == -0.1 * i, boost::test_tools::tolerance(1e-14));
    check_slope(result, 0, doubles(49, 1.0 / 49), 1e-12);
  }
}

// e^-40 = 4.2483542552915889e-18; expm1(-40) is -1 to a double.
BOOST_AUTO_TEST_CASE(the_slope_of_expm1_keeps_its_digits) {
  const auto data = batch_from<double>(one({1, 1}, {-40, -1}, {-1, -1}, 1, 1));
  const auto result = value_and_gradient(sum_over_all_tokens(expm1(logprobs)), wrt(logprobs), at(data));
  check_slope(result, 0, {4.2483542552915889e-18, 0.36787944117144233}, 1e-14);
}

BOOST_AUTO_TEST_SUITE_END()
