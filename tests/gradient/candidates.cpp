// SPDX-License-Identifier: Apache-2.0
// Formulas over the K candidates of a token that read sums over the same candidates: renormalised distributions and
// what is made of them, against finite differences and against a calculation in the plain way.
#include <gradwire/gradient/threads.hpp>
#include <gradwire/loss.hpp>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <random>
#include <vector>

#include "../support/larger.hpp"

using namespace gradwire;
using namespace gradwire::fields;

namespace {

using doubles = std::vector<double>;
using rows = std::vector<doubles>;

constexpr std::size_t width = 3;  // K

struct sample {
  std::vector<rows> student, teacher;  // [sequence][token][candidate]
  rows weight, now;

  explicit sample(unsigned seed, std::size_t sequences = 3) {
    std::mt19937_64 random(seed);
    std::uniform_real_distribution<double> uniform(0, 1);
    for (std::size_t s = 0; s < sequences; ++s) {
      const std::size_t length = 2 + random() % 19;
      student.emplace_back(), teacher.emplace_back(), weight.emplace_back(), now.emplace_back();
      for (std::size_t t = 0; t < length; ++t) {
        student.back().emplace_back(), teacher.back().emplace_back();
        for (std::size_t k = 0; k < width; ++k) {
          student.back().back().push_back(-0.1 - 3 * uniform(random));
          teacher.back().back().push_back(-0.1 - 3 * uniform(random));
        }
        weight.back().push_back(t == 1 ? 0 : 0.5 + uniform(random));
        now.back().push_back(-0.1 - uniform(random));
      }
    }
  }
  auto data() const {
    const auto one = [&](std::size_t s) {
      const std::vector<std::vector<int>> ids(student[s].size(), std::vector<int>(width, 7));
      return datum{prompt(std::vector<int>(student[s].size() + 1, 5)),
                   candidates = ids,
                   weights = weight[s],
                   candidate_logprobs = student[s],
                   candidate_teacher_logprobs = teacher[s],
                   logprobs = now[s]};
    };
    std::vector<decltype(one(0))> all;
    for (std::size_t s = 0; s < student.size(); ++s) all.push_back(one(s));
    return batch_of<double>(all);
  }
};

template <class Move>
double central(double& x, Move value) {
  const double before = x;
  const auto slope = [&](double h) {
    x = before + h;
    const double up = value();
    x = before - h;
    const double down = value();
    x = before;
    return (up - down) / (2 * h);
  };
  return (4 * slope(1e-4) - slope(2e-4)) / 3;
}

template <class Loss>
void check_slope(const Loss& loss) {
  for (unsigned seed : {1u, 2u}) {
    sample x(seed);
    const auto result = value_and_gradient(loss, wrt(candidate_logprobs), at(x.data()));
    const auto value = [&] { return value_and_gradient(loss, wrt(candidate_logprobs), at(x.data())).loss; };
    double worst = 0, largest = 0;
    for (std::size_t s = 0; s < x.student.size(); ++s)
      for (std::size_t t = 0; t < x.student[s].size(); ++t)
        for (std::size_t k = 0; k < width; ++k) {
          const double found = result.slope.plane(s, k)[t];
          worst = larger(worst, std::abs(central(x.student[s][t][k], value) - found));
          largest = std::max(largest, std::abs(found));
        }
    BOOST_TEST(largest > 0);
    BOOST_TEST(worst < 1e-8 * largest);
  }
}

// A distribution renormalised on the candidates, as log-probabilities per candidate.
template <class X>
auto renormalised(const X& x) {
  return x - log(sum_over_candidates(exp(x)));
}

// Generalised Jensen-Shannon divergence of teacher T and student S, both on the candidates:
// beta KL(T || M) + (1 - beta) KL(S || M), M = beta T + (1 - beta) S; beta 0: KL(T || S), beta 1: KL(S || T)
struct divergence {
  double beta = 0.5;
  auto operator()() const {
    auto s = renormalised(candidate_logprobs);
    auto t = renormalised(candidate_teacher_logprobs);
    auto m = log(beta * exp(t) + (1 - beta) * exp(s));
    return mean_over_all_tokens(sum_over_candidates(beta * (exp(t) * (t - m)) + (1 - beta) * (exp(s) * (s - m))));
  }
};
struct forward_divergence {
  auto operator()() const {
    auto s = renormalised(candidate_logprobs);
    auto t = renormalised(candidate_teacher_logprobs);
    return mean_over_all_tokens(sum_over_candidates(exp(t) * (t - s)));
  }
};
struct reverse_divergence {
  auto operator()() const {
    auto s = renormalised(candidate_logprobs);
    auto t = renormalised(candidate_teacher_logprobs);
    return mean_over_all_tokens(sum_over_candidates(exp(s) * (s - t)));
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(candidates_of_a_token)

BOOST_AUTO_TEST_CASE(divergences_of_renormalised_distributions_are_differentiated) {
  check_slope(forward_divergence{});
  check_slope(divergence{0.5});
  check_slope(divergence{0.1});
  check_slope(reverse_divergence{});
}

BOOST_AUTO_TEST_CASE(a_divergence_is_what_its_definition_says) {
  const sample x(5);
  for (double beta : {0.0, 0.5, 1.0}) {
    double sum = 0, weight = 0;
    for (std::size_t s = 0; s < x.student.size(); ++s)
      for (std::size_t t = 0; t < x.student[s].size(); ++t) {
        double zs = 0, zt = 0, at_token = 0;
        for (std::size_t k = 0; k < width; ++k) zs += std::exp(x.student[s][t][k]), zt += std::exp(x.teacher[s][t][k]);
        for (std::size_t k = 0; k < width; ++k) {
          const double ps = std::exp(x.student[s][t][k]) / zs, pt = std::exp(x.teacher[s][t][k]) / zt;
          const double m = beta * pt + (1 - beta) * ps;
          at_token += beta == 0   ? pt * std::log(pt / ps)
                      : beta == 1 ? ps * std::log(ps / pt)
                                  : beta * pt * std::log(pt / m) + (1 - beta) * ps * std::log(ps / m);
        }
        sum += x.weight[s][t] * at_token;
        weight += x.weight[s][t];
      }
    const double found =
        beta == 0   ? value_and_gradient(forward_divergence{}, wrt(candidate_logprobs), at(x.data())).loss
        : beta == 1 ? value_and_gradient(reverse_divergence{}, wrt(candidate_logprobs), at(x.data())).loss
                    : value_and_gradient(divergence{beta}, wrt(candidate_logprobs), at(x.data())).loss;
    BOOST_TEST(found == sum / weight, boost::test_tools::tolerance(1e-12));
  }
}

BOOST_AUTO_TEST_CASE(sums_within_sums_are_differentiated) {
  // sharpened twice, and normalised again after each
  auto once = renormalised(2.0 * candidate_logprobs);
  auto twice = renormalised(square(once));
  check_slope(mean_over_all_tokens(sum_over_candidates(exp(twice) * candidate_teacher_logprobs)));
  check_slope(mean_over_sequences(mean_over_tokens(square(sum_over_candidates(exp(twice) * once)))));
}

BOOST_AUTO_TEST_CASE(coarser_values_inside_a_sum_are_differentiated) {
  auto mean = mean_over_tokens(sum_over_candidates(exp(candidate_logprobs)));  // per sequence
  auto all = mean_over_all_tokens(sum_over_candidates(square(candidate_logprobs)));
  check_slope(mean_over_sequences(mean_over_tokens(sum_over_candidates(square(candidate_logprobs - mean) * all))));
  // only through the coarser value
  check_slope(mean_over_all_tokens(
      sum_over_candidates(exp(candidate_teacher_logprobs) * log(sum_over_candidates(exp(candidate_logprobs))))));
}

BOOST_AUTO_TEST_CASE(a_per_token_field_inside_a_sum_is_differentiated) {
  sample x(4);
  const auto loss = mean_over_all_tokens(square(sum_over_candidates(exp(candidate_teacher_logprobs + 0.5 * logprobs))));
  const auto result = value_and_gradient(loss, wrt(logprobs), at(x.data()));
  const auto value = [&] { return value_and_gradient(loss, wrt(logprobs), at(x.data())).loss; };
  for (std::size_t s = 0; s < x.now.size(); ++s)
    for (std::size_t t = 0; t < x.now[s].size(); ++t)
      BOOST_TEST(std::abs(central(x.now[s][t], value) - result.slope[s][t]) < 1e-9);
}

BOOST_AUTO_TEST_CASE(the_bits_are_the_same_on_threads) {
  const auto data = sample(6, 700).data();
  const thread_executor two(2);
  const auto one = value_and_gradient(divergence{}, wrt(candidate_logprobs), at(data));
  const auto many = value_and_gradient(divergence{}, wrt(candidate_logprobs), at(data), on(two));
  BOOST_TEST(one.loss == many.loss);
  BOOST_TEST(__builtin_memcmp(many.slope.data(), one.slope.data(), one.slope.size() * sizeof(double)) == 0);
}

BOOST_AUTO_TEST_SUITE_END()
