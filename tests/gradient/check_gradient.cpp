// SPDX-License-Identifier: Apache-2.0
// check_gradient passes what is right, catches an operation whose slope is wrong, skips kinks by name, and holds what
// is detached.
#include <gradwire/gradient/check_gradient.hpp>
#include <gradwire/loss.hpp>
#include <gradwire/loss/dpo.hpp>
#include <gradwire/loss/grpo.hpp>
#include <gradwire/loss/gspo.hpp>
#include <gradwire/loss/gspo_token.hpp>
#include <gradwire/loss/topk_distillation.hpp>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <sstream>

using namespace gradwire;
using namespace gradwire::fields;

namespace {

using doubles = std::vector<double>;

struct wrong_square_op {  // x², with the slope of 1.5 x²
  template <class V>
  static V value(V x) {
    return x * x;
  }
  template <class V>
  static V derivative(V x, V) {
    return V::broadcast(3) * x;
  }
};
inline constexpr function<wrong_square_op> wrong_square{};

struct own_abs_op {  // a corner at 0 that the library does not know
  template <class V>
  static V value(V x) {
    return abs(x);
  }
  template <class V>
  static V derivative(V x, V) {
    return select(x < V::broadcast(0), V::broadcast(-1), V::broadcast(1));
  }
};
inline constexpr function<own_abs_op> own_abs{};

// Pairs of ragged sequences; the first targets of each are masked and hold nonsense.
template <class T>
auto pairs(unsigned seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto datum_of = [&] {
    const std::size_t length = 4 + random() % 20;
    doubles now, old, ref, token, weight;
    for (std::size_t t = 0; t < length; ++t) {
      const bool masked = t < 3;
      weight.push_back(masked ? 0 : 0.5 + uniform(random));
      now.push_back(masked ? nan : -0.05 - 2 * uniform(random));
      old.push_back(masked ? nan : now.back() + 0.6 * (uniform(random) - 0.5));
      ref.push_back(masked ? nan : now.back() + 0.8 * (uniform(random) - 0.5));
      token.push_back(2 * uniform(random) - 1);
    }
    return datum{prompt(std::vector<int>(length + 1, 5)),
                 weights = weight,
                 logprobs = now,
                 old_logprobs = old,
                 ref_logprobs = ref,
                 token_advantage = token,
                 advantage = 2 * uniform(random) - 1};
  };
  using group_type = decltype(group(datum_of()));
  std::vector<group_type> all;
  for (int g = 0; g < 3; ++g) {
    auto c = datum_of(), r = datum_of();
    all.push_back(group(chosen(c), rejected(r)));
  }
  return batch_of<T>(all);
}

// One sequence of targets with these logprobs, old ones and advantage, ids 101, 102, …
auto row(const doubles& now, const doubles& old, double a) {
  std::vector<int> ids;
  for (std::size_t i = 0; i <= now.size(); ++i) ids.push_back(100 + static_cast<int>(i));
  datum d{prompt(ids), weights = doubles(now.size(), 1.0), logprobs = now, old_logprobs = old, advantage = a};
  return batch_of<double>(d);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(check_of_gradients)

BOOST_AUTO_TEST_CASE(right_gradients_pass) {
  for (unsigned seed : {1u, 2u, 3u, 4u}) {
    const auto data = pairs<double>(seed);
    const auto passes = [&](const auto& loss) {
      const auto found = check_gradient(loss, at(data));
      BOOST_TEST(found.ok(), found.text());
      BOOST_TEST(found.checked + found.skipped == data.shape().tokens());
      BOOST_TEST(found.checked > found.skipped);
      BOOST_TEST(found.worst_error < 1e-7);
    };
    passes(grpo{});
    passes(gspo{});
    passes(gspo_token{});
    passes(dpo{.label_smoothing = 0.1});
  }
}

BOOST_AUTO_TEST_CASE(float_batches_are_checked_in_double_with_a_tolerance_for_float) {
  const auto data = pairs<float>(5);
  const auto found = check_gradient(grpo{}, at(data));
  BOOST_TEST(found.ok(), found.text());
  BOOST_TEST(found.tolerance == 5e-4);
  BOOST_TEST(found.worst_error > 1e-10);  // it is the float gradient that was looked at
}

// Σ wrong(l) at -1 -2 -0.5: the slope should be 2l = -2 -4 -1 and is 3l = -3 -6 -1.5.
BOOST_AUTO_TEST_CASE(an_operation_with_a_wrong_slope_is_caught) {
  const auto data = row({-1, -2, -0.5}, {-1, -2, -0.5}, 1);
  const auto found = check_gradient(sum_over_all_tokens(wrong_square(logprobs)), at(data));
  BOOST_TEST(!found.ok());
  BOOST_TEST(found.checked == 3u);
  BOOST_TEST(found.skipped == 0u);
  BOOST_TEST(found.worst_error == 1.0 / 3, boost::test_tools::tolerance(1e-6));  // |3l − 2l| / |3l|
  BOOST_TEST(found.slope == 1.5 * found.finite_difference, boost::test_tools::tolerance(1e-6));
  BOOST_TEST(found.loss == 5.25);
  BOOST_TEST(found.plain_loss == 5.25);
  std::ostringstream printed;
  printed << found;
  BOOST_TEST(printed.str() == found.text());
  BOOST_TEST(printed.str().find("THE GRADIENT IS WRONG") == 0u);
}

BOOST_AUTO_TEST_CASE(the_worst_token_is_named) {
  const auto data = row({-1, -2, -0.5}, {-1, -2, -0.5}, 1);
  // wrong where the token is the second: 3·2/2 instead of 2·2/2 … and right elsewhere
  auto loss = sum_over_all_tokens(where(logprobs < -1.5, wrong_square(logprobs), square(logprobs)));
  const auto found = check_gradient(loss, wrt(logprobs), at(data));
  BOOST_TEST(found.worst.datum == 0);
  BOOST_TEST(found.worst.token == 1);
  BOOST_TEST(found.worst.token_id == 102);
  BOOST_TEST(found.slope == -6.0);
  BOOST_TEST(found.finite_difference == -4.0, boost::test_tools::tolerance(1e-10));
  BOOST_TEST(found.text().find("datum 0, token 1 (id 102)") != std::string::npos);
}

// Ratios 1.2003 (a corner of the clip within 1e-3 of it, in nats: ln 1.2003/1.2 = 0.00025), 1.25 and 1.0.
BOOST_AUTO_TEST_CASE(a_kink_is_skipped_by_name) {
  const auto data = row({-1 + std::log(1.2003), -1 + std::log(1.25), -1}, {-1, -1, -1}, 1);
  const auto ratio = let<"ratio">(exp(logprobs - old_logprobs));
  const auto found = check_gradient(mean_over_all_tokens(-min(ratio, 1.2) * advantage), at(data));
  BOOST_TEST(found.ok(), found.text());
  BOOST_TEST(found.checked == 2u);
  BOOST_TEST(found.skipped == 1u);
  BOOST_REQUIRE(found.reasons.size() == 1u);
  BOOST_TEST(found.reasons[0].reason == "within 0.001 of a kink at min(ratio, 1.2)");
  BOOST_TEST(found.reasons[0].first.token == 0);
  BOOST_TEST(
      found.text().find("1 skipped: within 0.001 of a kink at min(ratio, 1.2), first at datum 0, token 0 (id 101)") !=
      std::string::npos);
  // a smaller step has less of a neighbourhood
  BOOST_TEST(check_gradient(mean_over_all_tokens(-min(ratio, 1.2) * advantage), at(data), {.step = 1e-4}).skipped ==
             0u);
}

// The corner at 0.8 belongs to the branch for a negative advantage, which the loss does not take.
BOOST_AUTO_TEST_CASE(a_kink_on_which_the_loss_does_not_depend_is_none) {
  const auto data = row({-1 + std::log(0.8), -1, -1.5}, {-1, -1, -1}, 1);
  const auto ratio = exp(logprobs - old_logprobs);
  const auto gain = where(advantage < 0, max(ratio, 0.8), min(ratio, 1.2)) * advantage;
  const auto found = check_gradient(mean_over_all_tokens(-gain), at(data));
  BOOST_TEST(found.ok(), found.text());
  BOOST_TEST(found.skipped == 0u);
}

BOOST_AUTO_TEST_CASE(kinks_of_clamp_and_abs_and_sort_are_known) {
  const auto data = row({-1, -1 + std::log(1.2), -3}, {-1, -1, -1}, 1);
  const auto ratio = exp(logprobs - old_logprobs);
  BOOST_TEST(check_gradient(sum_over_all_tokens(clamp(ratio, 0.8, 1.2)), at(data)).skipped == 1u);
  BOOST_TEST(check_gradient(sum_over_all_tokens(abs(logprobs - old_logprobs)), at(data)).skipped == 1u);
  datum a{prompt({1, 2}), weights = {1.0}, logprobs = {-1.0}}, b{prompt({1, 2}), weights = {1.0}, logprobs = {-1.0002}},
      c{prompt({1, 2}), weights = {1.0}, logprobs = {-4.0}};
  const auto three = batch_of<double>(a, b, c);
  const auto sorted = sort_over_batch(sum_over_tokens(logprobs));
  const auto found = check_gradient(sum_over_sequences(sorted * square(sorted)), at(three));
  BOOST_TEST(found.ok(), found.text());
  BOOST_TEST(found.skipped == 2u);
  BOOST_TEST(found.checked == 1u);
}

BOOST_AUTO_TEST_CASE(a_kink_of_ones_own_operation_is_skipped_and_its_slope_elsewhere_checked) {
  const auto loss = sum_over_all_tokens(own_abs(logprobs - old_logprobs));
  for (double x : {0.0, 0.0003, -0.0007, 0.00099}) {
    const auto found = check_gradient(loss, at(row({-1 + x, -2, -3}, {-1, -1, -1}, 1)));
    BOOST_TEST(found.ok(), found.text());
    BOOST_TEST(found.skipped == (x == 0 ? 1u : 0u));  // beside it a smaller step can judge
    BOOST_TEST(found.checked == (x == 0 ? 2u : 3u));
  }
}

// L = −Σ sg(r)·l: the slope is −r and a difference of the value as it stands would be −r·(1 + l).
BOOST_AUTO_TEST_CASE(what_is_stopped_is_held) {
  const auto data = row({-1.2, -0.4}, {-1, -1}, 1);
  const auto ratio = exp(logprobs - old_logprobs);
  const auto found = check_gradient(-sum_over_all_tokens(stop_gradient(ratio) * logprobs), at(data));
  BOOST_TEST(found.ok(), found.text());
  BOOST_TEST(found.checked == 2u);
  const auto shown = check_gradient(-sum_over_all_tokens(stop_gradient(ratio) * logprobs), at(data), {.most = 1});
  BOOST_TEST(shown.slope == -std::exp(-0.2), boost::test_tools::tolerance(1e-12));
  BOOST_TEST(shown.finite_difference == -std::exp(-0.2), boost::test_tools::tolerance(1e-9));
  // the value of l, the slope of l²: 2l
  const auto through =
      check_gradient(sum_over_all_tokens(value_of(logprobs).gradient_of(square(logprobs))), at(data), {.most = 1});
  BOOST_TEST(through.ok(), through.text());
  BOOST_TEST(through.finite_difference == -2.4, boost::test_tools::tolerance(1e-9));
  BOOST_TEST(through.loss == -1.6, boost::test_tools::tolerance(1e-14));
}

BOOST_AUTO_TEST_CASE(any_field_of_tokens_or_candidates_can_be_the_variable) {
  datum d{prompt({1, 2, 3}), weights = {1.0, 1.0}, values = {0.5, 2.0}, returns = {1.0, 1.0}};
  const auto found =
      check_gradient(mean_over_all_tokens(square(values - returns)), wrt(values), at(batch_of<double>(d)));
  BOOST_TEST(found.ok(), found.text());
  BOOST_TEST(found.variable == "values");
  datum k{prompt({7, 11, 12}), weights = {1.0, 1.0}, candidates = matrix(std::vector<int>{11, 21, 12, 22}, 2),
          candidate_logprobs = matrix(doubles{-1, -2, -3, -4}, 2),
          candidate_teacher_logprobs = matrix(doubles{-1, -1, -1, -2}, 2)};
  const auto top = check_gradient(topk_distillation{}, wrt(candidate_logprobs), at(batch_of<double>(k)));
  BOOST_TEST(top.ok(), top.text());
  BOOST_TEST(top.checked == 4u);
  BOOST_TEST(top.worst.candidate >= 0);
}

// −log σ(1 − (−0.5)): the slopes are ∓σ(−1.5), one value a sequence.
BOOST_AUTO_TEST_CASE(a_field_of_sequences_can_be_the_variable) {
  datum c{prompt({7, 11}), weights = {1.0}, score = 1.0}, r{prompt({7, 12}), weights = {1.0}, score = -0.5};
  const auto data = batch_of<double>(group(chosen(c), rejected(r)));
  const auto found =
      check_gradient(mean_over_pairs(-log_sigmoid(chosen(score) - rejected(score))), wrt(score), at(data));
  BOOST_TEST(found.ok(), found.text());
  BOOST_TEST(found.checked == 2u);
  BOOST_TEST(found.worst.token == -1);
  BOOST_TEST(std::abs(found.finite_difference) == 1 / (1 + std::exp(1.5)), boost::test_tools::tolerance(1e-9));
  BOOST_TEST(found.text().find("token") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(of_a_large_batch_some_are_checked_evenly_spread_the_unmasked_first) {
  const std::size_t n = 1000;
  doubles now, weight;
  for (std::size_t t = 0; t < n; ++t) {
    now.push_back(-1 - 0.001 * static_cast<double>(t));
    weight.push_back(t >= 500);
  }
  datum d{prompt(std::vector<int>(n + 1, 5)), weights = weight, logprobs = now};
  const auto data = batch_of<double>(d);
  // wrong at one token of the last hundred only: ten evenly spread values step over it or meet it by their place
  const auto loss_wrong_above = [](double from) {
    return sum_over_all_tokens(where(logprobs < from, wrong_square(logprobs), square(logprobs)));
  };
  const auto found = check_gradient(loss_wrong_above(-1.9), at(data), {.most = 10});
  BOOST_TEST(found.checked == 10u);
  BOOST_TEST(found.values == n);
  BOOST_TEST(!found.ok());  // tokens 500, 550, …, 950; 950 has -1.95
  BOOST_TEST(found.worst.token == 950);
  BOOST_TEST(check_gradient(loss_wrong_above(-1.9505), at(data), {.most = 10}).ok());
  BOOST_TEST(check_gradient(loss_wrong_above(-9), at(data)).checked == n);
}

BOOST_AUTO_TEST_CASE(what_is_not_finite_is_not_right) {
  const auto data = row({-1, -2}, {-1, -1}, 1);
  const auto no_value = check_gradient(sum_over_all_tokens(log(logprobs)), at(data));
  BOOST_TEST(!no_value.ok());
  BOOST_TEST(no_value.text().find("the loss is nan") == 0u);
  const auto no_slope = check_gradient(sum_over_all_tokens(sqrt(logprobs - old_logprobs + 1)), at(data));  // √1, √0
  BOOST_TEST(!no_slope.ok());
  BOOST_TEST(no_slope.text().find("the gradient is not finite: inf at datum 0, token 1 (id 102)") == 0u);
}

BOOST_AUTO_TEST_CASE(nothing_checked_is_not_right) {
  const auto found = check_gradient(sum_over_all_tokens(abs(logprobs - old_logprobs)), at(row({-1}, {-1}, 1)));
  BOOST_TEST(found.skipped == 1u);
  BOOST_TEST(!found.ok());
  BOOST_TEST(found.verdict() == "the gradient cannot be judged: nothing could be checked of 1 value");
}

// The step of 1e-3 leaves the domain beside 0, where a smaller one does not; 1/l bends more than it can follow.
BOOST_AUTO_TEST_CASE(smaller_steps_are_tried_beside_a_border_and_where_it_bends) {
  const auto data = row({-1e-4, -4e-4, -1}, {-1, -1, -1}, 1);
  const auto passes = [&](const auto& loss) {
    const auto found = check_gradient(loss, at(data));
    BOOST_TEST(found.ok(), found.text());
    BOOST_TEST(found.checked == 3u);
  };
  passes(mean_over_all_tokens(-log1mexp(logprobs)));
  passes(mean_over_all_tokens(sqrt(-logprobs)));
  passes(mean_over_all_tokens(log(-logprobs)));
  passes(mean_over_all_tokens(1.0 / logprobs));
  passes(sum_over_all_tokens(exp(40.0 * (logprobs - old_logprobs))));
  // and a wrong slope there is still wrong: log l², of which the square's slope was 3l instead of 2l
  const auto wrong = check_gradient(mean_over_all_tokens(log(wrong_square(logprobs))), at(data));
  BOOST_TEST(!wrong.ok());
  BOOST_TEST(wrong.worst_error == 1.0 / 3, boost::test_tools::tolerance(1e-3));
}

// At 1e-12 from 0 no step is small enough, and large enough for the loss to move.
BOOST_AUTO_TEST_CASE(where_every_step_leaves_the_domain_says_so) {
  const auto data = row({-1e-12, -1}, {-1, -1}, 1);
  const auto found = check_gradient(mean_over_all_tokens(sqrt(-logprobs)), at(data));
  BOOST_TEST(found.ok(), found.text());
  BOOST_TEST(found.checked == 1u);
  BOOST_REQUIRE(found.reasons.size() == 1u);
  BOOST_TEST(found.reasons[0].reason.find("leaves the domain of sqrt(-logprobs)") != std::string::npos,
             found.reasons[0].reason);
}

// The loss is 1e9 and moves by 1e-3: below a double's rounding over the step.
BOOST_AUTO_TEST_CASE(what_drowns_in_rounding_is_not_right) {
  const auto data = row({-1, -2}, {-1, -1}, 1);
  const auto loss =
      1e-5 * mean_over_all_tokens(logprobs * logprobs) + allow<lint::no_gradient>(1e9 * mean_over_sequences(advantage));
  const auto found = check_gradient(loss, at(data));
  BOOST_TEST(found.checked == 0u);
  BOOST_TEST(!found.ok());
  BOOST_TEST(found.verdict().find("cannot be judged") != std::string::npos, found.text());
}

BOOST_AUTO_TEST_SUITE_END()
