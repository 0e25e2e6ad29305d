// SPDX-License-Identifier: Apache-2.0
// Statistics over the sequences of a group and of the batch: against a calculation in the plain way, against finite
// differences, and exactly 0 where they must be.
#include <gradwire/gradient/threads.hpp>

#include "differences.hpp"

using namespace gradwire;
using namespace gradwire::fields;
using differences::doubles;

namespace {

// One token a sequence; groups of the given rewards.
auto rewarded(const std::vector<doubles>& groups) {
  const auto one = [](double r) {
    return datum{prompt(std::vector<int>{1}) + response(std::vector<int>{2}), logprobs = {-0.5}, reward = r};
  };
  std::vector<decltype(group(std::vector{one(0)}))> all;
  for (const auto& rewards : groups) {
    std::vector<decltype(one(0))> members;
    for (double r : rewards) members.push_back(one(r));
    all.push_back(group(members));
  }
  return batch_of<double>(all);
}

// The value of a per-sequence formula at every sequence, through the gradient of Σ_s value_s · logprob_s.
template <class X, class Batch>
doubles at_each(const X& x, const Batch& data) {
  const auto result = value_and_gradient(sum_over_sequences(sum_over_tokens(x * logprobs)), wrt(logprobs), at(data));
  doubles values;
  for (std::size_t s = 0; s < data.size(); ++s) values.push_back(result.slope[s][0]);
  return values;
}

void check_each(const doubles& found, const doubles& expected) {
  BOOST_REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i)
    BOOST_TEST(std::abs(found[i] - expected[i]) <= 1e-14 * std::max(1.0, std::abs(expected[i])), i << ' ' << found[i]);
}

const auto mean_ratio = [] { return mean_over_tokens(exp(logprobs - ref_logprobs)); };

}  // namespace

BOOST_AUTO_TEST_SUITE(statistics)

BOOST_AUTO_TEST_CASE(they_are_what_they_are_called) {
  // mean 2.5, squares 2.25 + .25 + .25 + 2.25 = 5; second group: mean 3, squares 4 + 4 = 8; a group of one
  const auto data = rewarded({{1, 2, 3, 4}, {5, 1}, {7}});
  check_each(at_each(std_over_group<1>(reward), data), {std::sqrt(5.0 / 3), std::sqrt(5.0 / 3), std::sqrt(5.0 / 3),
                                                        std::sqrt(5.0 / 3), std::sqrt(8), std::sqrt(8), 0});
  check_each(at_each(std_over_group<0>(reward), data),
             {std::sqrt(1.25), std::sqrt(1.25), std::sqrt(1.25), std::sqrt(1.25), 2, 2, 0});
  check_each(at_each(max_over_group(reward), data), {4, 4, 4, 4, 5, 5, 7});
  check_each(at_each(min_over_group(reward), data), {1, 1, 1, 1, 1, 1, 7});
  check_each(at_each(second_largest_over_group(reward), data), {3, 3, 3, 3, 1, 1, 7});
  check_each(at_each(centered_over_group(reward), data), {-1.5, -0.5, 0.5, 1.5, 2, -2, 0});
  check_each(at_each(leave_one_out_mean(reward), data), {3, 8.0 / 3, 7.0 / 3, 2, 1, 5, 0});
  // over the batch: 1 2 3 4 5 1 7, sum 23, squares 105: Σ(x − mean)² = 105 − 529/7 = 206/7
  check_each(at_each(std_over_sequences<1>(reward), data), doubles(7, std::sqrt(206.0 / 42)));
  check_each(at_each(std_over_sequences<0>(reward), data), doubles(7, std::sqrt(206.0 / 49)));
  check_each(at_each(second_largest_over_sequences(reward), data), doubles(7, 5));
  doubles centered, others;
  for (double r : {1, 2, 3, 4, 5, 1, 7}) centered.push_back(r - 23.0 / 7), others.push_back((23 - r) / 6);
  check_each(at_each(centered_over_sequences(reward), data), centered);
  check_each(at_each(leave_one_out_mean_over_sequences(reward), data), others);
  // the largest twice
  check_each(at_each(second_largest_over_group(reward), rewarded({{3, 3, 1}, {1, 3, 3}, {2, 5, 4}})),
             {3, 3, 3, 3, 3, 3, 4, 4, 4});
}

BOOST_AUTO_TEST_CASE(equal_values_deviate_by_exactly_nothing) {
  // 0.1 added ten times is not 1, and 1e9 / 3 is no binary number
  const auto data = rewarded({doubles(10, 0.1), doubles(7, 1e9 / 3)});
  for (double x : at_each(std_over_group<1>(reward), data)) BOOST_TEST(x == 0);
  for (double x : at_each(std_over_group<0>(reward), data)) BOOST_TEST(x == 0);
  for (double x : at_each(centered_over_group(reward), data)) BOOST_TEST(x == 0);
  for (double x : at_each(reward - leave_one_out_mean(reward), data)) BOOST_TEST(x == 0);
  const auto one = rewarded({doubles(10, 0.1)});
  for (double x : at_each(std_over_sequences<1>(reward), one)) BOOST_TEST(x == 0);
  for (double x : at_each(centered_over_sequences(reward), one)) BOOST_TEST(x == 0);
  // with a slope of exactly 0: every sequence has the logprob -0.5
  const auto spread =
      value_and_gradient(mean_over_groups(std_over_group<1>(sum_over_tokens(logprobs)) * 1e9), wrt(logprobs), at(data));
  for (std::size_t s = 0; s < data.size(); ++s) BOOST_TEST(spread.slope[s][0] == 0);
}

BOOST_AUTO_TEST_CASE(large_values_lose_no_digits) {
  const auto data = rewarded({{1e9 + 1, 1e9 + 2, 1e9 + 3, 1e9 + 4}});
  check_each(at_each(std_over_group<1>(reward), data), doubles(4, std::sqrt(5.0 / 3)));
  check_each(at_each(centered_over_group(reward), data), {-1.5, -0.5, 0.5, 1.5});
}

SLOPE_IS_RIGHT(a_standard_deviation_is_differentiated, mean_over_groups(std_over_group<1>(mean_ratio())))
SLOPE_IS_RIGHT(a_normalised_score_is_differentiated, mean_over_sequences(advantage* centered_over_group(mean_ratio()) /
                                                                         (std_over_group<0>(mean_ratio()) + 0.1)))
SLOPE_IS_RIGHT(the_others_mean_is_differentiated,
               mean_over_sequences(square(mean_ratio() - leave_one_out_mean(mean_ratio()))))
SLOPE_IS_RIGHT(statistics_of_the_batch_are_differentiated,
               mean_over_all_tokens(logprobs* centered_over_sequences(mean_ratio()) *
                                    std_over_sequences<1>(mean_ratio())) +
                   mean_over_sequences(square(leave_one_out_mean_over_sequences(mean_ratio()))))

SLOPE_IS_RIGHT(linear_statistics_take_one_pass, [] {
  auto total = sum_over_tokens(logprobs);
  auto loss = mean_over_sequences(advantage * centered_over_group(total) + reward * leave_one_out_mean(total));
  static_assert(token_passes<decltype(loss)>(logprobs) == 1);
  return loss;
}())

BOOST_AUTO_TEST_CASE(sequences_without_tokens_take_no_part_in_what_comes_from_tokens) {
  const auto data = differences::make_batch(3, 2, 3, false);
  auto w = differences::rows_of(data);
  for (std::size_t s = 0; s < w.size(); ++s)
    for (auto& x : w[s]) x = s == 1 ? 0 : 1;
  const auto masked = with(weights = w, data);
  const auto x = mean_over_tokens(logprobs);
  const double mean = value_and_gradient(mean_over_sequences(leave_one_out_mean(x)), wrt(logprobs), at(masked)).loss;
  doubles own;
  for (std::size_t s = 0; s < data.size(); ++s) {
    double sum = 0;
    for (double l : data.column(logprobs)[s]) sum += l;
    own.push_back(sum / static_cast<double>(data.shape().length[s]));
  }
  const double expected = (own[2] + own[0] + own[3] + own[4] + own[5]) / 5;  // the others' means add up to the sum
  BOOST_TEST(mean == expected, boost::test_tools::tolerance(1e-13));
}

BOOST_AUTO_TEST_CASE(statistics_have_the_same_bits_on_threads) {
  const auto data = differences::make_batch(10, 200, 4, false);
  const thread_executor two(2);
  const auto check = [&](auto loss) {
    const auto one = value_and_gradient(loss, wrt(logprobs), at(data));
    const auto many = value_and_gradient(loss, wrt(logprobs), at(data), on(two));
    BOOST_TEST(one.loss == many.loss);
    BOOST_TEST(__builtin_memcmp(many.slope.data(), one.slope.data(), one.slope.size() * sizeof(double)) == 0);
  };
  check(mean_over_sequences(advantage * centered_over_group(mean_ratio()) / (std_over_group<1>(mean_ratio()) + 0.1)));
  check(mean_over_all_tokens(logprobs * centered_over_sequences(mean_ratio())));
}

BOOST_AUTO_TEST_SUITE_END()
