// SPDX-License-Identifier: Apache-2.0
// Words of the loss language that work as a reader expects: !=, named conditions, fields that are learned, metrics that
// two objectives share, bounds of a clamp.
#include <gradwire/gradient/dump.hpp>
#include <gradwire/gradient/explain.hpp>
#include <gradwire/loss.hpp>
#include <gradwire/loss/grpo.hpp>

#include <boost/test/unit_test.hpp>

using namespace gradwire;
using namespace gradwire::fields;

namespace {

inline constexpr field<"skill", per_sequence, "skill", role::learned> skill{};
inline constexpr field<"level", per_sequence> level{};

// Two sequences of one token: logprobs -1 and -2, rewards 0 and 1.
auto two() {
  const auto one = [](double l, double r) {
    return datum{prompt(std::vector<int>{1}) + response(std::vector<int>{2}),
                 logprobs = {l},
                 old_logprobs = {l},
                 ref_logprobs = {l},
                 advantage = r,
                 reward = r};
  };
  return batch_of<double>(group(one(-1, 0), one(-2, 1)));
}
template <class L>
double value(const L& loss) {
  return value_and_gradient(loss, wrt(logprobs), at(two())).loss;
}
template <class F>
std::string thrown(F f) {
  try {
    f();
  } catch (const error& e) {
    BOOST_TEST((e.kind() == errc::config));
    return e.what();
  }
  return "nothing";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(words)

BOOST_AUTO_TEST_CASE(not_equal) {
  BOOST_TEST(value(sum_over_all_tokens(where(reward != 0, logprobs, 0.0))) == -2);
  BOOST_TEST(value(sum_over_all_tokens(where(1 != reward, logprobs, 0.0))) == -1);
  BOOST_TEST(value(sum_over_all_tokens(where(logprobs != old_logprobs, 1.0, logprobs))) == -3);
}

BOOST_AUTO_TEST_CASE(a_named_or_stopped_condition_stays_one) {
  const auto low = let<"low">(logprobs < -1.5);
  BOOST_TEST(value(sum_over_all_tokens(where(low, logprobs, 0.0))) == -2);
  BOOST_TEST(value(sum_over_all_tokens(where(!low && reward < 0.5, logprobs, 0.0))) == -1);
  BOOST_TEST(value(sum_over_all_tokens(where(stop_gradient(low), logprobs, 3 * logprobs))) == -5);
  BOOST_TEST(value(sum_over_all_tokens(low * logprobs)) == -2);  // as a number it is 1 or 0
  const auto by_sequence = let<"rewarded">(reward > 0.5);
  BOOST_TEST(value(sum_over_all_tokens(where(by_sequence, logprobs, 0.0))) == -2);
  const auto loss = objective(sum_over_all_tokens(where(low, logprobs, 0.0)), metric<"low">(mean_over_all_tokens(low)));
  const auto all = evaluate(loss, wrt(logprobs), at(two()));
  BOOST_TEST(all.metrics.at(0).value == 0.5);
  const auto tree = reflect(loss);
  BOOST_TEST(formula::interpreter(tree, formula::table_of(two())).loss() == -2);
  BOOST_TEST(explain(loss).text().find("low") != std::string::npos);
  BOOST_TEST(dump(loss, at(two()), dump_format::csv).find("low") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_field_says_that_it_is_learned) {
  using variable = std::remove_const_t<decltype(logprobs)>;
  const auto policy = mean_over_all_tokens(logprobs);
  const auto critic = policy + mean_over_sequences(square(skill - reward));
  const auto data_only = policy + mean_over_sequences(square(level - reward));
  static_assert(!formula::has_idle_term<std::remove_const_t<decltype(critic)>, variable>);
  static_assert(formula::has_idle_term<std::remove_const_t<decltype(data_only)>, variable>);
}

BOOST_AUTO_TEST_CASE(a_metric_that_two_objectives_bring_along_is_reported_once) {
  const auto once = evaluate(grpo{}, wrt(logprobs), at(two()));
  const auto twice = evaluate(grpo{}() + 2.0 * grpo{}(), wrt(logprobs), at(two()));
  BOOST_REQUIRE(twice.metrics.size() == once.metrics.size());
  for (std::size_t i = 0; i < once.metrics.size(); ++i) {
    BOOST_TEST(twice.metrics[i].name == once.metrics[i].name);
    BOOST_TEST(twice.metrics[i].value == once.metrics[i].value);
  }
  BOOST_TEST(reflect(grpo{}() + 2.0 * grpo{}()).metrics.size() == once.metrics.size());
  const auto scaled = [](double by) {
    return objective(mean_over_all_tokens(logprobs), metric<"scaled">(by * mean_over_all_tokens(logprobs)));
  };
  BOOST_TEST(thrown([&] {
               evaluate(scaled(2) + scaled(3), wrt(logprobs), at(two()));
             }).find("one metric name for two numbers: scaled") != std::string::npos);
  BOOST_TEST(evaluate(scaled(2) + scaled(2), wrt(logprobs), at(two())).metrics.size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_clamp_with_its_bounds_exchanged_is_refused) {
  BOOST_TEST(thrown([] {
               value(mean_over_all_tokens(clamp(logprobs, 1.2, 0.8)));
             }).find("clamp(x, 1.2, 0.8): the lower bound is above the upper one") != std::string::npos);
  BOOST_TEST(value(sum_over_all_tokens(clamp(logprobs, -1.5, -1.5) + logprobs)) == -6);
}

BOOST_AUTO_TEST_SUITE_END()
