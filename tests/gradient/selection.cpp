// SPDX-License-Identifier: Apache-2.0
// Selection of a number of tokens over the batch, and metrics over some tokens or none.
#include <gradwire/gradient/threads.hpp>

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include "differences.hpp"

using namespace gradwire;
using namespace gradwire::fields;
using differences::doubles;
using differences::make_batch;

namespace {

using token = std::pair<std::size_t, std::size_t>;  // sequence, position

template <class Batch>
std::vector<token> unmasked(const Batch& data) {
  std::vector<token> all;
  for (std::size_t s = 0; s < data.size(); ++s)
    for (std::size_t t = 0; t < data.shape().length[s]; ++t)
      if (data.column(weights)[s][t] != 0) all.emplace_back(s, t);
  return all;
}

// The tokens for which a truth value holds, seen through a gradient.
template <class Truth, class Batch, class... Options>
std::set<token> where_true(const Truth& truth, const Batch& data, const Options&... options) {
  const auto result = value_and_gradient(sum_over_sequences(sum_over_tokens_unweighted(where(truth, logprobs, 0))),
                                         wrt(logprobs), at(data), options...);
  std::set<token> found;
  for (std::size_t s = 0; s < data.size(); ++s)
    for (std::size_t t = 0; t < data.shape().length[s]; ++t)
      if (result.slope[s][t] != 0) found.emplace(s, t);
  return found;
}

template <class X, class Batch>
std::optional<double> metric_of(const X& x, const Batch& data) {
  const auto result = evaluate(objective(mean_over_all_tokens(logprobs), metric<"x">(x)), wrt(logprobs), at(data));
  if (result.metrics.empty()) return {};
  return result.metrics[0].value;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(selection)

BOOST_AUTO_TEST_CASE(a_number_of_tokens_with_the_largest_values_is_selected) {
  const auto data = make_batch(5);
  auto all = unmasked(data);
  std::sort(all.begin(), all.end(), [&](const token& a, const token& b) {
    return data.column(ref_logprobs)[a.first][a.second] > data.column(ref_logprobs)[b.first][b.second];
  });
  for (std::size_t k : {std::size_t{1}, std::size_t{7}, all.size() - 1, all.size(), all.size() + 10}) {
    const std::set<token> expected(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::min(k, all.size())));
    BOOST_TEST((where_true(top_count_over_batch(ref_logprobs, static_cast<double>(k)), data) == expected));
  }
  BOOST_TEST(where_true(top_count_over_batch(ref_logprobs, 0), data).empty());
  for (double fraction : {1e-6, 0.1, 0.37}) {
    const auto k = std::max(1.0, std::floor(fraction * static_cast<double>(all.size())));
    BOOST_TEST(where_true(top_count_over_batch(ref_logprobs, token_share(fraction)), data).size() ==
               static_cast<std::size_t>(k));
  }
}

BOOST_AUTO_TEST_CASE(ties_do_not_select_more_than_asked_for) {
  const auto data = make_batch(6);
  const auto equal = where(ref_logprobs > -100, 1, 0);
  const auto few = where_true(top_count_over_batch(equal, 5), data);
  const auto more = where_true(top_count_over_batch(equal, 9), data);
  BOOST_TEST(few.size() == 5u);
  BOOST_TEST(more.size() == 9u);
  BOOST_TEST(std::includes(more.begin(), more.end(), few.begin(), few.end()));
}

BOOST_AUTO_TEST_CASE(a_random_choice_keeps_to_its_condition_and_repeats) {
  const auto data = make_batch(7, 30);
  const auto condition = old_logprobs < -1;
  std::set<token> eligible;
  for (const token& x : unmasked(data))
    if (data.column(old_logprobs)[x.first][x.second] < -1) eligible.insert(x);
  BOOST_REQUIRE(eligible.size() > 40u);
  const auto choose = [&](double n, std::uint64_t seed, const auto&... options) {
    return where_true(smallest_hash_over_batch(condition, n, seed), data, options...);
  };
  const auto few = choose(20, 1);
  BOOST_TEST(few.size() == 20u);
  BOOST_TEST(std::includes(eligible.begin(), eligible.end(), few.begin(), few.end()));
  BOOST_TEST((few == choose(20, 1, on(thread_executor(2)))));
  BOOST_TEST((few != choose(20, 2)));
  BOOST_TEST((choose(1e9, 3) == eligible));
  // every token is as likely as another: 500 seeds, each of the eligible tokens is chosen n·p times ± 5 deviations
  std::map<token, int> chosen_times;
  for (std::uint64_t seed = 0; seed < 500; ++seed)
    for (const token& x : choose(20, seed)) ++chosen_times[x];
  const double p = 20.0 / static_cast<double>(eligible.size());
  for (const token& x : eligible) BOOST_TEST(std::abs(chosen_times[x] - 500 * p) < 5 * std::sqrt(500 * p * (1 - p)));
}

BOOST_AUTO_TEST_CASE(a_datum_keeps_its_choice_by_its_id) {
  const auto make = [](const std::vector<int>& ids) {
    const auto one = [](int id) {
      return datum{prompt(std::vector<int>(9, 1)), weights = doubles(8, 1.0), logprobs = doubles(8, -0.5),
                   datum_id = id};
    };
    std::vector<decltype(one(0))> all;
    for (int id : ids) all.push_back(one(id));
    return batch_of<double>(all);
  };
  const auto choice = smallest_hash_over_batch(logprobs < 0, 6, 4);
  const auto forward = where_true(choice, make({10, 11, 12}));
  std::set<token> backward;
  for (const token& x : where_true(choice, make({12, 11, 10}))) backward.emplace(2 - x.first, x.second);
  BOOST_TEST((forward == backward));
  BOOST_TEST((forward != where_true(choice, make({20, 21, 22}))));
}

BOOST_AUTO_TEST_CASE(a_float_batch_selects_exactly_too) {
  std::vector<float> values(5000, -0.5f);
  const batch data{datum{prompt(std::vector<int>(5001, 1)), weights = doubles(5000, 1.0), logprobs = values}};
  const auto found = where_true(smallest_hash_over_batch(logprobs < 0, token_share(0.1), 9), data);
  BOOST_TEST(found.size() == 500u);
}

BOOST_AUTO_TEST_CASE(metrics_of_nothing_are_absent) {
  const auto data = make_batch(8);
  BOOST_TEST(!metric_of(mean_over_all_tokens_where(logprobs, logprobs > 100), data));
  BOOST_TEST(!metric_of(mean_over_sequences_where(advantage, advantage > 100), data));
  BOOST_TEST(metric_of(mean_over_all_tokens_where(logprobs, logprobs < 100), data).has_value());
  const auto one =
      batch_of<double>(datum{prompt(std::vector<int>(3, 1)), weights = {0.0, 1.0}, logprobs = {-1, -2}, reward = 1.0});
  BOOST_TEST(!metric_of(std_over_all_tokens<1>(logprobs), one));
  BOOST_TEST(metric_of(std_over_all_tokens<0>(logprobs), one).value() == 0);
  BOOST_TEST(!metric_of(std_over_sequences<1>(reward), one));
  BOOST_TEST(metric_of(std_over_sequences<0>(reward), one).value() == 0);
}

BOOST_AUTO_TEST_CASE(metrics_of_some_tokens_are_what_they_say) {
  const auto data = make_batch(9);
  double sum = 0, weight = 0, plain = 0, n = 0;
  for (const auto& [s, t] : unmasked(data)) {
    const double l = data.column(logprobs)[s][t], w = data.column(weights)[s][t];
    plain += l;
    ++n;
    if (l > -1) sum += w * l, weight += w;
  }
  BOOST_TEST(metric_of(mean_over_all_tokens_where(logprobs, logprobs > -1), data).value() == sum / weight,
             boost::test_tools::tolerance(1e-13));
  double squares = 0;
  for (const auto& [s, t] : unmasked(data)) squares += std::pow(data.column(logprobs)[s][t] - plain / n, 2);
  BOOST_TEST(metric_of(std_over_all_tokens(logprobs), data).value() == std::sqrt(squares / n),
             boost::test_tools::tolerance(1e-13));
  BOOST_TEST(metric_of(std_over_all_tokens<1>(logprobs), data).value() == std::sqrt(squares / (n - 1)),
             boost::test_tools::tolerance(1e-13));
  double rewards = 0, count = 0;
  for (std::size_t s = 0; s < data.size(); ++s)
    if (data.data(advantage)[s] > 0) rewards += data.data(reward)[s], ++count;
  BOOST_TEST(metric_of(mean_over_sequences_where(reward, advantage > 0), data).value() == rewards / count,
             boost::test_tools::tolerance(1e-13));
}

BOOST_AUTO_TEST_SUITE_END()
