// SPDX-License-Identifier: Apache-2.0
// Every mechanism of the loss language against finite differences in double, on ragged batches with masked tokens, and
// the contract of the numbers: passes, masks, denominators, order, threads, allocations.
#include <gradwire/gradient/threads.hpp>
#include <gradwire/loss.hpp>
#include <gradwire/loss/dpo.hpp>
#include <gradwire/loss/grpo.hpp>
#include <gradwire/loss/gspo.hpp>
#include <gradwire/loss/gspo_token.hpp>
#include <gradwire/loss/sft_nll.hpp>
#include <gradwire/loss/topk_distillation.hpp>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "differences.hpp"

using namespace gradwire;
using namespace gradwire::fields;
using differences::doubles;
using differences::make_batch;
using differences::rows_of;
using differences::worst_difference;

namespace {

struct square_plus_op {  // a user's own function: x² + x
  template <class V>
  static V value(V x) {
    return x * x + x;
  }
  template <class V>
  static V derivative(V x, V) {
    return x + x + V::broadcast(1);
  }
};
inline constexpr function<square_plus_op> square_plus{};

}  // namespace

BOOST_AUTO_TEST_SUITE(mechanisms)

SLOPE_IS_RIGHT(sft_is_differentiated, sft_nll{})
SLOPE_IS_RIGHT(smooth_functions_are_differentiated,
               mean_over_all_tokens(exp(logprobs - old_logprobs) + expm1(logprobs) + log1p(-0.3 * logprobs) +
                                    log(0.1 - logprobs) + sqrt(1 - logprobs) + square(logprobs) + sigmoid(logprobs) +
                                    log_sigmoid(2 * logprobs) + log1mexp(logprobs) + 1 / (2 - logprobs) +
                                    logprobs / (3 - ref_logprobs) + logprobs / (3 - logprobs)))
SLOPE_IS_RIGHT(kl_estimators_are_differentiated,
               mean_over_all_tokens(allow<lint::k1_as_loss>(k1(logprobs, ref_logprobs)) +
                                    2 * k2(logprobs, ref_logprobs) + 3 * k3(logprobs, ref_logprobs)))
SLOPE_IS_RIGHT(own_functions_are_differentiated, mean_over_all_tokens(square_plus(logprobs)))
SLOPE_IS_RIGHT(a_sequence_value_inside_a_token_formula_carries_its_gradient, [] {
  auto mean = let<"mean">(mean_over_tokens(logprobs));
  return mean_over_sequences(mean_over_tokens(square(logprobs - mean) * exp(mean)));
}())
SLOPE_IS_RIGHT(a_batch_value_inside_a_token_formula_carries_its_gradient, [] {
  auto mean = mean_over_all_tokens(logprobs);
  return mean_over_all_tokens(square(logprobs - mean) * logprobs);
}())
SLOPE_IS_RIGHT(three_levels_of_reductions_feed_each_other, [] {
  auto mean = mean_over_tokens(logprobs);
  auto spread = mean_over_tokens(square(logprobs - mean));
  return mean_over_sequences(mean_over_tokens(exp(logprobs) * spread) * mean);
}())
SLOPE_IS_RIGHT(group_statistics_are_differentiated, [] {
  auto score = sum_over_tokens(logprobs - ref_logprobs);
  auto centred = score - mean_over_group(score);
  return mean_over_sequences(square(centred) * advantage);
}())
SLOPE_IS_RIGHT(group_values_inside_token_formulas_are_differentiated, [] {
  auto baseline = mean_over_group(mean_over_tokens(logprobs));
  return mean_over_all_tokens(square(logprobs - baseline));
}())
SLOPE_IS_RIGHT(pairs_are_differentiated, dpo{.beta = 0.7, .label_smoothing = 0.1})
SLOPE_IS_RIGHT(partitions_are_differentiated,
               [] { return mean_over_parts(micro_batch, square(mean_over_tokens_within(micro_batch, logprobs))); }())
SLOPE_IS_RIGHT(sorted_values_are_differentiated, [] {
  auto score = mean_over_tokens(logprobs);
  return mean_over_sequences(sort_over_batch(score) * square(sort_over_batch(score)));
}())
SLOPE_IS_RIGHT(both_signs_of_a_choice_are_differentiated, [] {
  auto ratio = exp(logprobs - old_logprobs);
  return mean_over_all_tokens(where(advantage > 0, square(ratio), 3 * ratio) + max(ratio, 0.0 - ratio) * advantage);
}())
SLOPE_IS_RIGHT(losses_add_and_scale, 0.3 * dpo{.beta = 0.3}() + 0.1 * sft_nll{}())
SLOPE_IS_RIGHT(sums_over_masked_positions_reach_them, mean_over_sequences(sum_over_positions(square(logprobs))))
SLOPE_IS_RIGHT(a_weight_of_ones_own_divides, mean_over_all_tokens(square(logprobs), exp(old_logprobs)))
SLOPE_IS_RIGHT(a_pair_loss_beside_a_mean_over_the_chosen_is_differentiated, [] {
  auto log_ratio = sum_over_tokens(logprobs - ref_logprobs);
  auto pairs = mean_over_pairs(-log_sigmoid(chosen(log_ratio) - rejected(log_ratio)));
  auto likelihood =
      sum_over_groups(chosen(sum_over_tokens(-logprobs))) / sum_over_groups(chosen(terminals::weight_sum));
  return pairs + 0.3 * likelihood;
}())
SLOPE_IS_RIGHT(counts_divide, mean_over_sequences(mean_over_tokens_by_count(square(logprobs))))

BOOST_AUTO_TEST_CASE(stop_gradient_stops_and_straight_through_passes) {
  const auto data = make_batch(4);
  const auto frozen =
      value_and_gradient(mean_over_all_tokens(stop_gradient(exp(logprobs)) * logprobs), wrt(logprobs), at(data));
  const auto straight = value_and_gradient(mean_over_all_tokens(value_of(square(logprobs)).gradient_of(3 * logprobs)),
                                           wrt(logprobs), at(data));
  double value = 0, straight_value = 0;
  for (std::size_t s = 0; s < data.size(); ++s) {
    for (std::size_t t = 0; t < data.shape().length[s]; ++t) {
      const double l = data.column(logprobs)[s][t], w = data.column(weights)[s][t] / data.total_weight();
      value += w * std::exp(l) * l;
      straight_value += w * l * l;
      BOOST_TEST(frozen.slope[s][t] == w * std::exp(l), boost::test_tools::tolerance(1e-13));
      BOOST_TEST(straight.slope[s][t] == 3 * w, boost::test_tools::tolerance(1e-13));
    }
  }
  BOOST_TEST(frozen.loss == value, boost::test_tools::tolerance(1e-13));
  BOOST_TEST(straight.loss == straight_value, boost::test_tools::tolerance(1e-13));
}

BOOST_AUTO_TEST_CASE(the_largest_tokens_are_selected) {
  const auto data = make_batch(5);
  doubles all;
  for (std::size_t s = 0; s < data.size(); ++s)
    for (std::size_t t = 0; t < data.shape().length[s]; ++t)
      if (data.column(weights)[s][t] != 0) all.push_back(data.column(logprobs)[s][t]);
  std::sort(all.rbegin(), all.rend());
  for (double fraction : {0.001, 0.1, 0.5, 1.0}) {
    const std::size_t k =
        std::max<std::size_t>(1, static_cast<std::size_t>(fraction * static_cast<double>(all.size())));
    const auto chosen_tokens = top_fraction_over_batch(logprobs, fraction);
    const auto result = value_and_gradient(
        sum_over_sequences(sum_over_tokens_unweighted(where(chosen_tokens, logprobs, 0))), wrt(logprobs), at(data));
    double sum = 0;
    for (std::size_t i = 0; i < k; ++i) sum += all[i];
    BOOST_TEST(result.loss == sum, boost::test_tools::tolerance(1e-12));
    for (std::size_t s = 0; s < data.size(); ++s)
      for (std::size_t t = 0; t < data.shape().length[s]; ++t) {
        const bool selected = data.column(weights)[s][t] != 0 && data.column(logprobs)[s][t] >= all[k - 1];
        BOOST_TEST(result.slope[s][t] == (selected ? 1.0 : 0.0));
      }
  }
}

BOOST_AUTO_TEST_CASE(two_selections_do_not_disturb_each_other) {
  const auto data = make_batch(5);
  const auto count = [](const auto& x, double f) {
    return sum_over_sequences(sum_over_tokens_unweighted(where(top_fraction_over_batch(x, f), 1 + 0 * logprobs, 0)));
  };
  const auto value = [&](const auto& loss) { return value_and_gradient(loss, wrt(logprobs), at(data)).loss; };
  const double few = value(count(logprobs, 0.2)), many = value(count(-ref_logprobs, 0.5));
  BOOST_TEST(few < many);
  BOOST_TEST(value(count(logprobs, 0.2) + 1000 * count(-ref_logprobs, 0.5)) == few + 1000 * many);
}

BOOST_AUTO_TEST_CASE(sequences_without_a_weight_are_no_values_of_a_group) {
  const auto data = make_batch(11, 3, 3, false);
  auto w = rows_of(data);
  for (std::size_t s = 0; s < w.size(); ++s)
    for (auto& x : w[s]) x = s == 4 ? 0 : 1;
  auto poisoned = rows_of(data);
  for (auto& x : poisoned[4]) x = std::numeric_limits<double>::quiet_NaN();
  const auto clean = with(weights = w, data);
  const auto score = mean_over_tokens(logprobs);
  const auto loss = mean_over_groups(square(mean_over_group(log(0 - score))));
  const auto result = value_and_gradient(loss, wrt(logprobs), at(clean));
  double expected = 0;
  for (std::size_t g = 0; g < 3; ++g) {
    double mean = 0, n = 0;
    for (std::size_t s = 3 * g; s < 3 * g + 3; ++s) {
      if (s == 4) continue;
      double sum = 0;
      for (double x : clean.column(logprobs)[s]) sum += x;
      mean += std::log(-sum / static_cast<double>(clean.shape().length[s]));
      ++n;
    }
    expected += mean / n * (mean / n) / 3;
  }
  BOOST_TEST(result.loss == expected, boost::test_tools::tolerance(1e-12));
  const auto dirty = value_and_gradient(loss, wrt(logprobs), at(with(logprobs = poisoned, clean)));
  BOOST_TEST(dirty.loss == result.loss);
  for (double g : dirty.slope[4]) BOOST_TEST(g == 0);
}

BOOST_AUTO_TEST_CASE(an_overflowing_ratio_with_no_advantage_is_nothing) {
  const datum d{prompt(std::vector<int>{1}) + response(std::vector<int>{2, 3}), logprobs = {-0.5, -95.0},
                old_logprobs = {-95.0, -0.5}, ref_logprobs = {-0.5, -95.0}, advantage = 0.0};
  const auto result = value_and_gradient(grpo{}, wrt(logprobs), at(batch{d}));
  BOOST_TEST(result.loss == 0);
  for (float g : result.slope[0]) BOOST_TEST(g == 0);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_is_refused) {
  const auto pairs = make_batch(12), groups = make_batch(13, 3, 2, false);
  const auto is_data_error = [](const error& e) { return e.kind() == errc::data; };
  BOOST_CHECK_EXCEPTION(value_and_gradient(dpo{}, wrt(logprobs), at(groups)), error, is_data_error);
  writable_column<double> other(groups.layout_handle(), extent::token);
  BOOST_CHECK_EXCEPTION(value_and_gradient(sft_nll{}, wrt(logprobs), at(pairs), into(other)), error, is_data_error);
}

BOOST_AUTO_TEST_CASE(positions_and_extremes_are_seen) {
  const auto data = make_batch(6);
  const auto result = evaluate(
      objective(mean_over_all_tokens(logprobs * terminals::position), metric<"largest">(max_over_all_tokens(logprobs)),
                metric<"smallest">(min_over_all_tokens(logprobs))),
      wrt(logprobs), at(data));
  double value = 0, largest = -1e9, smallest = 1e9;
  for (std::size_t s = 0; s < data.size(); ++s)
    for (std::size_t t = 0; t < data.shape().length[s]; ++t) {
      const double l = data.column(logprobs)[s][t], w = data.column(weights)[s][t];
      value += w * l * static_cast<double>(t) / data.total_weight();
      if (w != 0) largest = std::max(largest, l), smallest = std::min(smallest, l);
    }
  BOOST_TEST(result.loss == value, boost::test_tools::tolerance(1e-13));
  BOOST_REQUIRE(result.metrics.size() == 2u);
  BOOST_TEST(result.metrics[0].value == largest);
  BOOST_TEST(result.metrics[1].value == smallest);
}

BOOST_AUTO_TEST_CASE(passes_over_the_tokens_are_few) {
  static_assert(token_passes<sft_nll>(logprobs) == 1);
  static_assert(token_passes<grpo>(logprobs) == 1);
  static_assert(token_passes<gspo>(logprobs) == 2);
  static_assert(token_passes<gspo_token>(logprobs) == 2);
  static_assert(token_passes<dpo>(logprobs) == 2);
  static_assert(token_passes<topk_distillation>(candidate_logprobs) == 1);
  const auto ratio = exp(logprobs - old_logprobs);
  const auto of_group = centered_over_group(reward) / (std_over_group<1>(reward) + 1e-6);
  static_assert(token_passes<decltype(mean_over_all_tokens(-ratio * of_group))>(logprobs) == 1);  // data cost no pass
  static_assert(token_passes<decltype(mean_over_all_tokens(where(top_count_over_batch(ratio, 5), 0, -ratio)))>(
                    logprobs) == 2);  // one to choose
  static_assert(token_passes<decltype(mean_over_pairs(-log_sigmoid(chosen(score) - rejected(score))))>(score) == 0);
}

BOOST_AUTO_TEST_CASE(nothing_at_a_masked_token_shows) {
  const auto data = make_batch(7);
  const auto clean = value_and_gradient(grpo{}, wrt(logprobs), at(data));
  constexpr double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  for (double poison : {nan, inf, -inf}) {
    auto now = rows_of(data), old = now, ref = now;
    for (std::size_t s = 0; s < data.size(); ++s)
      for (std::size_t t = 0; t < now[s].size(); ++t) {
        const bool masked = data.column(weights)[s][t] == 0;
        now[s][t] = masked ? poison : data.column(logprobs)[s][t];
        old[s][t] = masked ? poison : data.column(old_logprobs)[s][t];
        ref[s][t] = masked ? -poison : data.column(ref_logprobs)[s][t];
      }
    const auto dirty = value_and_gradient(
        grpo{}, wrt(logprobs), at(with(logprobs = now, with(old_logprobs = old, with(ref_logprobs = ref, data)))));
    BOOST_TEST(dirty.loss == clean.loss);
    for (std::size_t s = 0; s < data.size(); ++s)
      for (std::size_t t = 0; t < now[s].size(); ++t) BOOST_TEST(dirty.slope[s][t] == clean.slope[s][t]);
  }
}

BOOST_AUTO_TEST_CASE(weights_with_a_sum_of_zero_or_less_are_refused) {
  const auto data = make_batch(8);
  auto w = rows_of(data);
  for (auto& row : w)
    for (auto& x : row) x = 1;
  for (std::size_t t = 0; t < w[2].size(); ++t) w[2][t] = t % 2 ? 1 : -1.5;
  const auto bad = with(weights = w, data);
  BOOST_CHECK_EXCEPTION(value_and_gradient(grpo{}, wrt(logprobs), at(bad)), error, [](const error& e) {
    return e.kind() == errc::data && e.details().datum == 2 && e.details().column == "weights";
  });
  BOOST_CHECK_NO_THROW(value_and_gradient(sft_nll_sum{}, wrt(logprobs), at(bad)));
  for (auto& x : w[2]) x = 0;  // all masked: not counted, no gradient
  const auto masked = value_and_gradient(grpo{}, wrt(logprobs), at(with(weights = w, data)));
  BOOST_TEST(std::isfinite(masked.loss));
  for (double g : masked.slope[2]) BOOST_TEST(g == 0);
}

BOOST_AUTO_TEST_CASE(one_let_name_with_two_numbers_is_refused) {
  const auto data = make_batch(9);
  const auto twice = let<"scaled">(2 * logprobs) + let<"scaled">(3 * logprobs);
  BOOST_CHECK_EXCEPTION(value_and_gradient(mean_over_all_tokens(twice), wrt(logprobs), at(data)), error,
                        [](const error& e) { return e.kind() == errc::config; });
}

BOOST_AUTO_TEST_CASE(own_weights_with_a_sum_of_zero_or_less_are_refused) {
  const auto data = make_batch(8);
  const auto v = old_logprobs;  // the data's weights are positive where they are not 0
  auto own = rows_of(data);
  for (auto& row : own)
    for (auto& x : row) x = 1;
  for (std::size_t t = 0; t < own[2].size(); ++t) own[2][t] = t % 2 ? 1 : -3;
  const auto bad = with(old_logprobs = own, data);
  const auto names = [](std::int64_t datum) {
    return [datum](const error& e) { return e.kind() == errc::data && e.details().datum == datum; };
  };
  const auto each = mean_over_sequences(mean_over_tokens(logprobs, v));
  const auto all = mean_over_all_tokens(logprobs, v);
  BOOST_CHECK_EXCEPTION(value_and_gradient(each, wrt(logprobs), at(bad)), error, names(2));
  BOOST_CHECK_NO_THROW(value_and_gradient(all, wrt(logprobs), at(bad)));  // the whole sum is positive
  BOOST_CHECK_NO_THROW(value_and_gradient(sft_nll_sum{}, wrt(logprobs), at(bad)));
  for (auto& row : own)
    for (auto& x : row) x = -1;
  BOOST_CHECK_EXCEPTION(value_and_gradient(all, wrt(logprobs), at(with(old_logprobs = own, data))), error, names(-1));
  for (auto& row : own)
    for (auto& x : row) x = 0;
  BOOST_TEST(value_and_gradient(all, wrt(logprobs), at(with(old_logprobs = own, data))).loss == 0);
  BOOST_TEST(value_and_gradient(each, wrt(logprobs), at(with(old_logprobs = own, data))).loss == 0);
}

BOOST_AUTO_TEST_CASE(masked_sequences_take_no_part_in_sorting) {
  const auto data = make_batch(11, 3, 3, false);
  auto w = rows_of(data);
  for (std::size_t s = 0; s < w.size(); ++s)
    for (auto& x : w[s]) x = s == 0 || s == 4 ? 0 : 1;
  const auto some = with(weights = w, data);
  const auto score = mean_over_tokens(logprobs);  // negative: a 0 in between would be the largest
  doubles sorted;
  std::vector<std::size_t> rank;
  for (std::size_t s = 0; s < data.size(); ++s) {
    if (s == 0 || s == 4) continue;
    double sum = 0;
    for (double x : data.column(logprobs)[s]) sum += x;
    sorted.push_back(sum / static_cast<double>(data.shape().length[s]));
  }
  const doubles unsorted = sorted;
  std::sort(sorted.begin(), sorted.end());
  doubles factor;  // the i-th counted sequence's advantage multiplies the i-th smallest value
  for (std::size_t s = 0; s < data.size(); ++s)
    if (s != 0 && s != 4) factor.push_back(data.data(advantage)[s]);
  double expected = 0;
  for (std::size_t i = 0; i < sorted.size(); ++i)
    expected += sorted[i] * factor[i] / static_cast<double>(sorted.size());
  const auto result =
      value_and_gradient(mean_over_sequences(sort_over_batch(score) * advantage), wrt(logprobs), at(some));
  BOOST_TEST(result.loss == expected, boost::test_tools::tolerance(1e-13));
  for (std::size_t s = 0, i = 0; s < data.size(); ++s) {
    const bool masked = s == 0 || s == 4;
    const auto place = masked ? 0 : std::lower_bound(sorted.begin(), sorted.end(), unsorted[i++]) - sorted.begin();
    for (double g : result.slope[s]) {
      const double slope = masked ? 0
                                  : factor[static_cast<std::size_t>(place)] / static_cast<double>(sorted.size()) /
                                        static_cast<double>(data.shape().length[s]);
      BOOST_TEST(g == slope, boost::test_tools::tolerance(1e-12));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_value_per_sequence_is_differentiated) {
  const auto check = [](const auto& loss) {
    const auto data = make_batch(14);
    doubles scores;
    for (std::size_t s = 0; s < data.size(); ++s) scores.push_back(data.data(reward)[s] * 3 - 1);
    const auto value = [&] { return value_and_gradient(loss, wrt(score), at(with(score = scores, data))).loss; };
    const auto result = value_and_gradient(loss, wrt(score), at(with(score = scores, data)));
    BOOST_TEST(result.slope.size() == data.size());
    for (std::size_t s = 0; s < data.size(); ++s) {
      const double before = scores[s];
      const auto slope = [&](double h) {
        scores[s] = before + h;
        const double up = value();
        scores[s] = before - h;
        const double down = value();
        scores[s] = before;
        return (up - down) / (2 * h);
      };
      BOOST_TEST(std::abs((4 * slope(1e-4) - slope(2e-4)) / 3 - result.slope.data()[s]) < 1e-9);
    }
  };
  check(mean_over_pairs(-log_sigmoid(chosen(score) - rejected(score) - 0.3)));
  check(mean_over_sequences(score * reward));
  check(mean_over_sequences(square(centered_over_group(score) - reward)));
  check(mean_over_all_tokens(exp(0.1 * score) * old_logprobs));                                        // one sweep
  check(mean_over_sequences(square(score - mean_over_tokens(square(old_logprobs * score))) * score));  // two
  check(mean_over_all_tokens(square(old_logprobs - mean_over_all_tokens(score * ref_logprobs))));
}

BOOST_AUTO_TEST_CASE(the_order_of_sequences_does_not_matter) {
  for (unsigned seed = 20; seed < 24; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<doubles> now, old, ref;
    doubles a;
    for (int s = 0; s < 60; ++s) {
      const std::size_t length = 1 + random() % 90;
      now.emplace_back(), old.emplace_back(), ref.emplace_back();
      a.push_back(static_cast<double>(random() % 1000) / 500 - 1);
      for (std::size_t t = 0; t < length; ++t) {
        now.back().push_back(-static_cast<double>(random() % 10000) / 4000);
        old.back().push_back(now.back().back() + static_cast<double>(random() % 1000) / 2000 - 0.25);
        ref.back().push_back(now.back().back() + static_cast<double>(random() % 1000) / 2000 - 0.25);
      }
    }
    const auto loss_of = [&]<class T>(const std::vector<std::size_t>& order, T) {
      const auto make = [&](std::size_t i) {
        return datum{prompt(std::vector<int>(now[i].size() + 1, 3)),
                     weights = doubles(now[i].size(), 1.0),
                     logprobs = now[i],
                     old_logprobs = old[i],
                     ref_logprobs = ref[i],
                     advantage = a[i]};
      };
      std::vector<decltype(make(0))> all;
      for (std::size_t i : order) all.push_back(make(i));
      return value_and_gradient(grpo{}, wrt(logprobs), at(batch_of<T>(all))).loss;
    };
    std::vector<std::size_t> order(now.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    const double first = loss_of(order, 0.0);
    const auto first_float = static_cast<float>(loss_of(order, 0.0f));
    std::shuffle(order.begin(), order.end(), random);
    BOOST_TEST(std::abs(loss_of(order, 0.0) - first) <= 1e-14 * std::abs(first));
    const auto shuffled = static_cast<float>(loss_of(order, 0.0f));
    BOOST_TEST((shuffled == first_float || std::nextafter(shuffled, first_float) == first_float));
  }
}

BOOST_AUTO_TEST_CASE(threads_give_the_same_bits) {
  const thread_executor two(2), four(4);
  const auto data = make_batch(10, 400, 2, true);
  const auto check = [&](auto loss) {
    const auto one = evaluate(loss, wrt(logprobs), at(data));
    for (const auto* executor : {&two, &four}) {
      for (int repeat = 0; repeat < 5; ++repeat) {
        const auto many = evaluate(loss, wrt(logprobs), at(data), on(*executor));
        BOOST_TEST(many.loss == one.loss);
        BOOST_TEST(__builtin_memcmp(many.slope.data(), one.slope.data(), one.slope.size() * sizeof(double)) == 0);
        for (std::size_t i = 0; i < one.metrics.size(); ++i) BOOST_TEST(many.metrics[i].value == one.metrics[i].value);
      }
    }
  };
  check(grpo{});
  check(gspo{});
  check(dpo{});
  check(mean_over_all_tokens(square(logprobs - mean_over_tokens(logprobs))));
}

BOOST_AUTO_TEST_CASE(an_exception_of_a_piece_reaches_the_caller) {
  const thread_executor two(2);
  for (int repeat = 0; repeat < 20; ++repeat) {
    BOOST_CHECK_THROW(two(8,
                          [](std::size_t i) {
                            if (i == 5) throw std::runtime_error("five");
                          }),
                      std::runtime_error);
    std::atomic<int> sum{0};
    two(100, [&](std::size_t i) { sum += static_cast<int>(i); });
    BOOST_TEST(sum == 4950);
  }
}

BOOST_AUTO_TEST_SUITE_END()
