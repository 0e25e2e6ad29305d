// SPDX-License-Identifier: Apache-2.0
// Two losses on one batch, against numbers worked out by hand.
#include <gradwire/gradient/difference.hpp>
#include <gradwire/loss.hpp>
#include <gradwire/loss/topk_distillation.hpp>

#include <boost/test/unit_test.hpp>
#include <cmath>

using namespace gradwire;
using namespace gradwire::fields;

namespace {

// Two sequences: logprobs -1 -2 | -4, advantages as given; every target counts.
auto two_rows(double first, double second) {
  datum a{prompt({7, 11, 12}), weights = {1.0, 1.0}, logprobs = {-1.0, -2.0}, old_logprobs = {-1.0, -2.0},
          advantage = first};
  datum b{prompt({8, 13}), weights = {1.0}, logprobs = {-4.0}, old_logprobs = {-4.0}, advantage = second};
  return batch_of<double>(group(a, b));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(difference_of_losses)

// L1 = mean over all tokens of logprob², slope 2·l/3: -2/3 -4/3 -8/3. L2 = -Σ logprob: slope -1 each.
BOOST_AUTO_TEST_CASE(numbers_are_those_of_a_hand_calculation) {
  const auto data = two_rows(1, 1);
  const auto found =
      difference(mean_over_all_tokens(square(logprobs)), sum_over_all_tokens(-logprobs), wrt(logprobs), at(data));
  const double eps = 1e-14;
  BOOST_TEST(found.first == 7.0, boost::test_tools::tolerance(eps));   // (1 + 4 + 16) / 3
  BOOST_TEST(found.second == 7.0, boost::test_tools::tolerance(eps));  // 1 + 2 + 4
  BOOST_TEST(std::abs(found.change()) < 1e-14);
  BOOST_TEST(found.first_norm == 2.0 / 3 * std::sqrt(21.0), boost::test_tools::tolerance(eps));
  BOOST_TEST(found.second_norm == std::sqrt(3.0), boost::test_tools::tolerance(eps));
  BOOST_TEST(found.norm_ratio() == 1.5 / std::sqrt(7.0), boost::test_tools::tolerance(eps));
  BOOST_TEST(found.cosine == 7 / std::sqrt(63.0), boost::test_tools::tolerance(eps));  // (2+4+8)/3 / (2/3·√21·√3)
  BOOST_TEST(found.factor == 0.5, boost::test_tools::tolerance(eps));                  // 14/3 / (4/9·21)
  // g2 - g1/2 = -2/3, -1/3, +1/3: ‖·‖ = √(6/9); over ‖g2‖ = √3
  BOOST_TEST(found.residual == std::sqrt(6.0 / 9 / 3), boost::test_tools::tolerance(eps));
  BOOST_TEST(found.sign_flips == 0u);
  BOOST_TEST(found.values == 3u);
  BOOST_TEST(found.verdict() == "the gradients differ by more than a factor");
  // |difference|: 1/3, 1/3, 5/3
  BOOST_REQUIRE(found.worst.size() == 3u);
  BOOST_TEST(found.worst[0].at.datum == 1);
  BOOST_TEST(found.worst[0].at.token == 0);
  BOOST_TEST(found.worst[0].at.token_id == 13);
  BOOST_TEST(found.worst[0].first == -8.0 / 3, boost::test_tools::tolerance(eps));
  BOOST_TEST(found.worst[0].second == -1.0, boost::test_tools::tolerance(eps));
}

BOOST_AUTO_TEST_CASE(another_divisor_is_told_as_a_factor) {
  const auto data = two_rows(1, 1);
  const auto found =
      difference(mean_over_all_tokens(-logprobs), sum_over_all_tokens(-logprobs), wrt(logprobs), at(data));
  BOOST_TEST(found.factor == 3.0, boost::test_tools::tolerance(1e-14));
  BOOST_TEST(found.residual < 1e-15);
  BOOST_TEST(found.cosine == 1.0, boost::test_tools::tolerance(1e-14));
  BOOST_TEST(found.verdict() == "the second gradient is 3 × the first: another divisor, the same step direction");
  const auto same =
      difference(mean_over_all_tokens(-logprobs), mean_over_all_tokens(-logprobs), wrt(logprobs), at(data));
  BOOST_TEST(same.verdict() == "the gradients are the same");
  BOOST_TEST(same.worst.empty());
  const auto against =
      difference(mean_over_all_tokens(-logprobs), sum_over_all_tokens(logprobs), wrt(logprobs), at(data));
  BOOST_TEST(against.sign_flips == 3u);
  BOOST_TEST(against.verdict() == "the second gradient is -3 × the first: the opposite step direction");
}

// Where the advantages are +1 and 0 the policy gradient is -1/3 -1/3 | 0, and that of the NLL -1/3 everywhere.
BOOST_AUTO_TEST_CASE(values_that_one_loss_leaves_alone_are_counted) {
  const auto data = two_rows(1, 0);
  auto policy = mean_over_all_tokens(-exp(logprobs - old_logprobs) * advantage);
  const auto found = difference(policy, mean_over_all_tokens(-logprobs), wrt(logprobs), at(data), {.worst = 2});
  BOOST_TEST(found.only_second == 1u);
  BOOST_TEST(found.only_first == 0u);
  BOOST_REQUIRE(found.worst.size() == 1u);
  BOOST_TEST(found.worst[0].at.token_id == 13);
  BOOST_TEST(found.cosine == std::sqrt(2.0 / 3), boost::test_tools::tolerance(1e-14));
}

BOOST_AUTO_TEST_CASE(a_gradient_of_zero_and_one_that_is_not_finite_are_said) {
  const auto data = two_rows(0, 0);
  auto policy = mean_over_all_tokens(-exp(logprobs - old_logprobs) * advantage);
  const auto none = difference(policy, policy, wrt(logprobs), at(data));
  BOOST_TEST(none.verdict() == "both gradients are 0");
  const auto first = difference(policy, mean_over_all_tokens(-logprobs), wrt(logprobs), at(data));
  BOOST_TEST(first.verdict() == "the gradient of the first loss is 0, that of the second is not");
  BOOST_TEST(std::isnan(first.cosine));
  const auto broken =
      difference(mean_over_all_tokens(-logprobs), mean_over_all_tokens(log(logprobs)), wrt(logprobs), at(data));
  BOOST_TEST(std::isnan(broken.second));
  BOOST_TEST(broken.text().find("nan") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(at_most_so_many_tokens_are_listed_the_worst_first) {
  std::vector<double> now;
  for (int i = 0; i < 20; ++i) now.push_back(-0.1 * ((i * 7) % 20));  // |2l + 1| is not in order of i
  datum d{prompt(std::vector<int>(21, 5)), weights = std::vector<double>(20, 1.0), logprobs = now};
  const auto data = batch_of<double>(d);
  const auto found = difference(sum_over_all_tokens(square(logprobs)), sum_over_all_tokens(-logprobs), wrt(logprobs),
                                at(data), {.worst = 4});
  BOOST_REQUIRE(found.worst.size() == 4u);
  // slopes 2l and -1: |−1 − 2l| is 2.8 at l = -1.9, then 2.6, 2.4, 2.2
  for (std::size_t i = 0; i < 4; ++i) {
    BOOST_TEST(std::abs(found.worst[i].second - found.worst[i].first) == 2.8 - 0.2 * static_cast<double>(i),
               boost::test_tools::tolerance(1e-12));
    BOOST_TEST(now[static_cast<std::size_t>(found.worst[i].at.token)] == -1.9 + 0.1 * static_cast<double>(i),
               boost::test_tools::tolerance(1e-12));
  }
}

BOOST_AUTO_TEST_CASE(candidates_are_named) {
  datum d{prompt({7, 11, 12}), weights = {1.0, 1.0}, candidates = matrix(std::vector<int>{11, 21, 12, 22}, 2),
          candidate_logprobs = matrix(std::vector<double>{-1, -2, -3, -4}, 2),
          candidate_teacher_logprobs = matrix(std::vector<double>{-1, -1, -1, -1}, 2)};
  const auto data = batch_of<double>(d);
  // slopes: -p/2 = -0.25 everywhere, and 2·l/2 = l: the largest distance at token 1, candidate 1
  const auto found =
      difference(topk_distillation{}, mean_over_all_tokens(sum_over_candidates(square(candidate_logprobs))),
                 wrt(candidate_logprobs), at(data), {.worst = 1});
  BOOST_REQUIRE(found.worst.size() == 1u);
  BOOST_TEST(found.values == 4u);
  BOOST_TEST(found.worst[0].at.token == 1);
  BOOST_TEST(found.worst[0].at.candidate == 1);
  BOOST_TEST(found.worst[0].at.token_id == 22);
  BOOST_TEST(found.worst[0].first == -0.25, boost::test_tools::tolerance(1e-14));
  BOOST_TEST(found.worst[0].second == -4.0, boost::test_tools::tolerance(1e-14));
}

BOOST_AUTO_TEST_SUITE_END()
