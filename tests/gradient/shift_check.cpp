// SPDX-License-Identifier: Apache-2.0
// Columns that lie one position off are told from those that do not, and the metrics of a finished gradient.
#include <gradwire/gradient/gradient_metrics.hpp>
#include <gradwire/gradient/shift_check.hpp>
#include <gradwire/loss.hpp>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <random>

using namespace gradwire;
using namespace gradwire::fields;

namespace {

using doubles = std::vector<double>;

// Rollouts whose old logprobs are the trainer's plus noise, read `shift` positions later; the first targets are prompt.
auto rollouts(int shift, std::size_t sequences, std::size_t response_length, double noise, unsigned seed = 1) {
  std::mt19937_64 random(seed);
  std::exponential_distribution<double> surprise(1.0);
  std::normal_distribution<double> normal(0, 1);
  const auto datum_of = [&] {
    const std::size_t length = response_length + 3;
    doubles now(length), old(length, -9.0), weight(length, 0.0);
    for (double& x : now) x = -surprise(random);
    for (std::size_t t = 0; t < length; ++t) {
      const auto from = static_cast<std::ptrdiff_t>(t) - shift;
      if (from >= 0 && from < static_cast<std::ptrdiff_t>(length))
        old[t] = now[static_cast<std::size_t>(from)] + noise * normal(random);
      weight[t] = t >= 3;
    }
    return datum{prompt(std::vector<int>(length + 1, 5)), weights = weight, logprobs = now, old_logprobs = old};
  };
  std::vector<decltype(datum_of())> all;
  for (std::size_t s = 0; s < sequences; ++s) all.push_back(datum_of());
  return batch_of<double>(all);
}

double value_of_metric(const std::vector<metric_value>& all, std::string_view name) {
  for (const auto& each : all)
    if (each.name == name) return each.value;
  return std::nan("");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(shift_of_columns)

// now -1 -2 -4 -3; old is now read one late: x -1 -2 -4. At +1 the pairs are equal.
BOOST_AUTO_TEST_CASE(numbers_are_those_of_a_hand_calculation) {
  datum d{prompt({1, 2, 3, 4, 5}), weights = {1.0, 1.0, 1.0, 1.0}, logprobs = {-1.0, -2.0, -4.0, -3.0},
          old_logprobs = {-9.0, -1.0, -2.0, -4.0}};
  const auto data = batch_of<double>(d);
  const auto found = shift_check(data);
  BOOST_TEST(found.fit[2].shift == 1);
  BOOST_TEST(found.fit[2].positions == 3u);
  BOOST_TEST(found.fit[2].mean_absolute_difference == 0.0);
  BOOST_TEST(found.fit[2].correlation == 1.0, boost::test_tools::tolerance(1e-14));
  BOOST_TEST(found.fit[2].closer == 1.0);
  BOOST_TEST(found.fit[1].positions == 4u);
  BOOST_TEST(found.fit[1].mean_absolute_difference == 3.0);  // 8 1 2 1
  // at -1: (-9,-2) (-1,-4) (-2,-3): 7 3 1
  BOOST_TEST(found.fit[0].mean_absolute_difference == 11.0 / 3, boost::test_tools::tolerance(1e-14));
  // x -9 -1 -2, mean -4: -5 3 2; y -2 -4 -3, mean -3: 1 -1 0; Σxy -8, Σxx 38, Σyy 2
  BOOST_TEST(found.fit[0].correlation == -8 / std::sqrt(76.0), boost::test_tools::tolerance(1e-14));
  // against what stands in place: 7 < 1, 3 < 2, 1 < 1 (a tie): ½ of 3
  BOOST_TEST(found.fit[0].closer == 0.5 / 3, boost::test_tools::tolerance(1e-14));
  BOOST_TEST((found.verdict == shift_verdict::unclear));  // three positions are no evidence
  BOOST_TEST(found.sentence() ==
             "unclear: 3 neighbouring positions of old_logprobs and logprobs can be compared, and a verdict takes 12");
}

BOOST_AUTO_TEST_CASE(a_shift_is_found_in_either_direction_and_named) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    BOOST_TEST((shift_check(rollouts(0, 8, 30, 0.05, seed)).verdict == shift_verdict::aligned));
    BOOST_TEST((shift_check(rollouts(1, 8, 30, 0.05, seed)).verdict == shift_verdict::late_by_one));
    BOOST_TEST((shift_check(rollouts(-1, 8, 30, 0.05, seed)).verdict == shift_verdict::early_by_one));
    BOOST_TEST((shift_check(rollouts(0, 8, 30, 0.5, seed)).verdict == shift_verdict::aligned));  // far off-policy
  }
  const auto late = shift_check(rollouts(1, 8, 30, 0.05));
  BOOST_TEST(late.shifted());
  BOOST_TEST(late.sentence().find("old_logprobs is shifted by +1: the value of target t stands at t + 1") == 0u);
  const auto early = shift_check(rollouts(-1, 8, 30, 0.05));
  BOOST_TEST(early.sentence().find("old_logprobs is shifted by -1: the value of target t stands at t - 1") == 0u);
  BOOST_TEST(!shift_check(rollouts(0, 8, 30, 0.05)).shifted());
}

BOOST_AUTO_TEST_CASE(short_sequences_count_together) {
  BOOST_TEST((shift_check(rollouts(1, 40, 2, 0.02)).verdict == shift_verdict::late_by_one));
  BOOST_TEST((shift_check(rollouts(0, 40, 2, 0.02)).verdict == shift_verdict::aligned));
  BOOST_TEST((shift_check(rollouts(1, 40, 1, 0.02)).verdict == shift_verdict::unclear));  // no neighbours at all
  BOOST_TEST(shift_check(rollouts(1, 40, 1, 0.02)).fit[0].positions == 0u);
}

BOOST_AUTO_TEST_CASE(chance_is_no_shift) {
  int told = 0;
  for (unsigned seed = 1; seed <= 200; ++seed) {
    // old logprobs of other tokens altogether: every shift fits equally badly
    const auto data = rollouts(0, 4, 25, 0, seed);
    const auto other = rollouts(0, 4, 25, 0, seed + 1000);
    told += shift_check(with(old_logprobs = other.column(logprobs), data)).shifted();
  }
  BOOST_TEST(told <= 1);
  datum flat{prompt(std::vector<int>(41, 3)), weights = doubles(40, 1.0), logprobs = doubles(40, -1.0),
             old_logprobs = doubles(40, -1.0)};
  const auto same = shift_check(batch_of<double>(flat));
  BOOST_TEST((same.verdict == shift_verdict::unclear));
  BOOST_TEST(same.sentence() == "unclear: old_logprobs fits logprobs about equally well at t - 1, t and t + 1");
}

BOOST_AUTO_TEST_CASE(wild_values_and_masked_ones_do_not_decide) {
  auto data = rollouts(1, 8, 30, 0.05);
  auto old = std::vector<doubles>();
  for (std::size_t s = 0; s < data.size(); ++s) {
    const auto row = data.column(old_logprobs)[s];
    old.emplace_back(row.begin(), row.end());
    old.back()[10] = -1e6;                                     // one in thirty
    old.back()[0] = std::numeric_limits<double>::quiet_NaN();  // masked
  }
  BOOST_TEST((shift_check(with(old_logprobs = old, data)).verdict == shift_verdict::late_by_one));
}

BOOST_AUTO_TEST_CASE(any_two_columns_can_be_compared) {
  const auto data = rollouts(1, 8, 30, 0.05);
  const auto more = with(sampler_logprobs = data.column(old_logprobs), data);
  const auto found = shift_check(more, sampler_logprobs, old_logprobs);
  BOOST_TEST((found.verdict == shift_verdict::aligned));
  BOOST_TEST(found.sentence().find("sampler_logprobs is aligned with old_logprobs") == 0u);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(metrics_of_the_gradient)

// Three datums: slopes 3 4 (and 100 masked) | 0 6 | all masked. Norms 5 and 6; mean slopes 3.5 and 3.
BOOST_AUTO_TEST_CASE(numbers_are_those_of_a_hand_calculation) {
  datum a{prompt({1, 2, 3, 4}), weights = {1.0, 0.5, 0.0}, logprobs = {0.0, 0.0, 0.0}};
  datum b{prompt({1, 2, 3}), weights = {1.0, 1.0}, logprobs = {0.0, 0.0}};
  datum c{prompt({1, 2}), weights = {0.0}, logprobs = {0.0}};
  const auto data = batch_of<double>(a, b, c);
  const std::vector<doubles> given{{3, 4, 100}, {0, 6}, {1000}};
  const auto slope = with(ref_logprobs = given, data).column(ref_logprobs);
  const auto found = gradient_metrics(slope, data);
  BOOST_REQUIRE(found.size() == 4u);
  BOOST_TEST(value_of_metric(found, "grad_l2_per_datum_mean") == 5.5);
  BOOST_TEST(value_of_metric(found, "grad_l2_per_datum_max") == 6.0);
  BOOST_TEST(value_of_metric(found, "dead_grad_frac") == 0.25);
  // variance with n - 1 of {3.5, 3} is 0.125; √(0.125 / 2) = 0.25
  BOOST_TEST(value_of_metric(found, "pg_estimator_std_error") == 0.25, boost::test_tools::tolerance(1e-14));
}

BOOST_AUTO_TEST_CASE(a_metric_of_nothing_is_absent) {
  datum masked{prompt({1, 2, 3}), weights = {0.0, 0.0}, logprobs = {-1.0, -1.0}};
  datum counted{prompt({1, 2, 3}), weights = {0.0, 1.0}, logprobs = {-1.0, -1.0}};
  const auto none = batch_of<double>(masked, masked);
  BOOST_TEST(gradient_metrics(value_and_gradient(mean_over_all_tokens(-logprobs), wrt(logprobs), at(none)).slope, none)
                 .empty());
  const auto one = batch_of<double>(counted, masked);
  const auto found =
      gradient_metrics(value_and_gradient(mean_over_all_tokens(-logprobs), wrt(logprobs), at(one)).slope, one);
  BOOST_TEST(found.size() == 3u);  // one datum has no spread
  BOOST_TEST(value_of_metric(found, "grad_l2_per_datum_max") == 1.0);
  BOOST_TEST(std::isnan(value_of_metric(found, "pg_estimator_std_error")));
}

// A float batch; half of the tokens are clipped away: ratio e^0.5 > 1.2 at a positive advantage.
BOOST_AUTO_TEST_CASE(clipped_tokens_are_dead) {
  datum d{prompt({1, 2, 3, 4, 5}), weights = {1.0, 1.0, 1.0, 1.0}, logprobs = {-1.0, -1.0, -1.0, -1.0},
          old_logprobs = {-1.5, -1.0, -1.5, -1.0}, advantage = 1.0};
  const batch data{d};
  auto gain = min(exp(logprobs - old_logprobs), 1.2) * advantage;
  const auto slope = value_and_gradient(mean_over_all_tokens(-gain), wrt(logprobs), at(data)).slope;
  BOOST_TEST(value_of_metric(gradient_metrics(slope, data), "dead_grad_frac") == 0.5);
}

BOOST_AUTO_TEST_CASE(candidates_count_as_their_token) {
  datum d{prompt({7, 11, 12}), weights = {1.0, 1.0}, candidates = matrix(std::vector<int>{11, 21, 12, 22}, 2),
          candidate_logprobs = matrix(std::vector<double>{-3, -4, 0, 0}, 2)};
  const auto data = batch_of<double>(d, d);
  // slopes of Σ l²/2: -3 -4 | 0 0 in both: norm 5, half of the tokens dead, no spread
  const auto slope = value_and_gradient(sum_over_all_tokens(sum_over_candidates(0.5 * square(candidate_logprobs))),
                                        wrt(candidate_logprobs), at(data))
                         .slope;
  const auto found = gradient_metrics(slope, data);
  BOOST_TEST(value_of_metric(found, "grad_l2_per_datum_mean") == 5.0, boost::test_tools::tolerance(1e-14));
  BOOST_TEST(value_of_metric(found, "dead_grad_frac") == 0.5);
  BOOST_TEST(value_of_metric(found, "pg_estimator_std_error") == 0.0);
}

// Slopes of a value a sequence: ∓σ(−1.5).
BOOST_AUTO_TEST_CASE(a_value_of_a_sequence_counts_once) {
  datum c{prompt({7, 11, 12}), weights = {1.0, 1.0}, score = 1.0}, r{prompt({7, 12}), weights = {1.0}, score = -0.5};
  const auto data = batch_of<double>(group(chosen(c), rejected(r)));
  const auto slope =
      value_and_gradient(mean_over_pairs(-log_sigmoid(chosen(score) - rejected(score))), wrt(score), at(data)).slope;
  const auto found = gradient_metrics(slope, data);
  const double size = 1 / (1 + std::exp(1.5));
  BOOST_TEST(value_of_metric(found, "grad_l2_per_datum_mean") == size, boost::test_tools::tolerance(1e-14));
  BOOST_TEST(value_of_metric(found, "dead_grad_frac") == 0.0);
  // {−size, size}: variance 2·size², √(2·size²/2) = size
  BOOST_TEST(value_of_metric(found, "pg_estimator_std_error") == size, boost::test_tools::tolerance(1e-14));
}

BOOST_AUTO_TEST_SUITE_END()
