// SPDX-License-Identifier: Apache-2.0
// The slopes of the server's built-in losses are the derivatives of their values (central differences in double), and
// the edges of the clips.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include <gradwire/loopback/service/builtin_loss.hpp>

using namespace gradwire::loopback::detail;

BOOST_AUTO_TEST_SUITE(server_losses)

BOOST_AUTO_TEST_CASE(slopes_are_derivatives) {
  const std::vector<float> old{-1, -2, -0.5F, -3, -1, -0.2F}, advantages{1, -1, 2, -0.5F, 0, 3};
  const loss_columns columns{.logprobs = old, .advantages = advantages};
  for (const auto loss :
       {builtin_loss::cross_entropy, builtin_loss::importance_sampling, builtin_loss::ppo, builtin_loss::dro})
    for (std::size_t i = 0; i < old.size(); ++i)
      for (const double distance : {-1.0, -0.21, -0.1, 0.05, 0.17, 0.9}) {
        const auto settings = default_settings(loss);
        const double l = static_cast<double>(old[i]) + distance, h = 1e-6;
        const double numeric =
            (evaluate(settings, columns, i, l + h).value - evaluate(settings, columns, i, l - h).value) / (2 * h);
        BOOST_TEST(std::abs(evaluate(settings, columns, i, l).slope - numeric) < 1e-6);
      }
}

BOOST_AUTO_TEST_CASE(cispo_does_not_move_its_ratio) {
  const std::vector<float> old{-1}, advantages{2};
  const loss_columns columns{.logprobs = old, .advantages = advantages};
  const loss_settings settings{.loss = builtin_loss::cispo, .clip_low = 0.9, .clip_high = 1.1};
  const auto at = evaluate(settings, columns, 0, -0.5);  // ratio 1.65, clipped to 1.1
  BOOST_TEST(std::abs(at.value - -1.1 * 2 * -0.5) < 1e-12);
  BOOST_TEST(std::abs(at.slope - -1.1 * 2) < 1e-12);
}

BOOST_AUTO_TEST_CASE(ppo_is_flat_where_the_clip_binds) {
  const std::vector<float> old{0, 0}, advantages{1, -1};
  const loss_columns columns{.logprobs = old, .advantages = advantages};
  const auto settings = default_settings(builtin_loss::ppo);
  BOOST_TEST(evaluate(settings, columns, 0, 0.5).slope == 0);  // ratio 1.65 > 1.2, A > 0
  BOOST_TEST(evaluate(settings, columns, 0, -0.5).slope < 0);  // ratio 0.61 < 0.8, A > 0: the minimum moves
  BOOST_TEST(evaluate(settings, columns, 1, 0.5).slope > 0);   // A < 0
  BOOST_TEST(evaluate(settings, columns, 1, -0.5).slope == 0);
}

BOOST_AUTO_TEST_CASE(weights_select) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> weights{0, 2, 1}, old{nan, -1, -1}, advantages{nan, 1, 1}, now{nan, -1, -1};
  std::vector<float> slope(3, 7);
  std::optional<std::size_t> bad;
  const auto settings = default_settings(builtin_loss::importance_sampling);
  loss_columns columns{.weights = weights, .logprobs = old, .advantages = advantages};
  BOOST_TEST(sum_of_loss(settings, columns, now, slope, bad) == -3);
  BOOST_TEST(!bad);
  BOOST_TEST(slope == (std::vector<float>{0, -2, -1}), boost::test_tools::per_element());
  const std::vector<float> other{1, 1, nan};
  columns.weights = {};
  columns.advantages = other;
  sum_of_loss(settings, columns, std::vector<float>{-1, -1, -1}, slope, bad);
  BOOST_TEST(bad.value() == 0);  // the old logprob of token 0 is NaN
}

BOOST_AUTO_TEST_CASE(thresholds_may_be_columns) {
  const std::vector<float> old{0}, advantages{1}, high{1.5F};
  const loss_columns columns{.logprobs = old, .advantages = advantages, .clip_high = high};
  BOOST_TEST(std::abs(evaluate(default_settings(builtin_loss::ppo), columns, 0, 1).value + 1.5) < 1e-6);
}

BOOST_AUTO_TEST_SUITE_END()
