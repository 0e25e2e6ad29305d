// SPDX-License-Identifier: Apache-2.0
// Gradients against finite differences in double, on ragged batches with masked tokens.
#pragma once

#include <gradwire/loss.hpp>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <random>
#include <vector>

#include "../support/larger.hpp"

namespace differences {

using namespace gradwire;
using namespace gradwire::fields;

using doubles = std::vector<double>;

// Sequences of various lengths; the first targets of each are prompt, and a hole in the middle is masked too.
inline auto make_batch(unsigned seed, std::size_t groups = 3, std::size_t per_group = 2, bool pairs = true) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  const auto datum_of = [&] {
    const std::size_t length = 3 + random() % 40;
    doubles now, old, ref, teacher, weight;
    for (std::size_t t = 0; t < length; ++t) {
      now.push_back(-0.05 - 2 * uniform(random));
      old.push_back(now.back() + 0.6 * (uniform(random) - 0.5));
      ref.push_back(now.back() + 0.8 * (uniform(random) - 0.5));
      weight.push_back(t < length / 4 || t % 7 == 3 ? 0 : 0.5 + uniform(random));
    }
    return datum{prompt(std::vector<int>(length + 1, 5)),
                 weights = weight,
                 logprobs = now,
                 old_logprobs = old,
                 ref_logprobs = ref,
                 advantage = 2 * uniform(random) - 1,
                 reward = uniform(random),
                 micro_batch = static_cast<double>(random() % 2)};
  };
  using group_type = decltype(group(datum_of()));
  std::vector<group_type> all;
  for (std::size_t g = 0; g < groups; ++g) {
    if (pairs) {
      auto c = datum_of(), r = datum_of();
      all.push_back(group(chosen(c), rejected(r)));
    } else {
      std::vector<decltype(datum_of())> members;
      for (std::size_t i = 0; i < per_group; ++i) members.push_back(datum_of());
      all.push_back(group(members));
    }
  }
  return batch_of<double>(all);
}

template <class Batch>
std::vector<doubles> rows_of(const Batch& data) {
  std::vector<doubles> rows;
  for (std::size_t s = 0; s < data.size(); ++s) {
    const auto row = data.column(logprobs)[s];
    rows.emplace_back(row.begin(), row.end());
  }
  return rows;
}

// Central differences with two steps and Richardson's extrapolation: error O(h⁴).
template <class Loss, class Batch>
double worst_difference(const Loss& loss, const Batch& data) {
  const auto result = value_and_gradient(loss, wrt(logprobs), at(data));
  auto rows = rows_of(data);
  const auto value = [&] { return value_and_gradient(loss, wrt(logprobs), at(with(logprobs = rows, data))).loss; };
  double worst = 0, largest = 0;
  for (std::size_t s = 0; s < rows.size(); ++s) {
    for (std::size_t t = 0; t < rows[s].size(); ++t) {
      const double x = rows[s][t];
      const auto slope_of_step = [&](double h) {
        rows[s][t] = x + h;
        const double up = value();
        rows[s][t] = x - h;
        const double down = value();
        rows[s][t] = x;
        return (up - down) / (2 * h);
      };
      const double coarse = slope_of_step(2e-4), fine = slope_of_step(1e-4);
      const double expected = (4 * fine - coarse) / 3;
      worst = larger(worst, std::abs(expected - result.slope[s][t]));
      largest = std::max(largest, std::abs(result.slope[s][t]));
    }
  }
  BOOST_TEST(largest > 0);
  return worst / largest;
}

}  // namespace differences

#define SLOPE_IS_RIGHT(name, ...)                                                                   \
  BOOST_AUTO_TEST_CASE(name) {                                                                      \
    for (unsigned seed : {1u, 2u, 3u})                                                              \
      BOOST_TEST(differences::worst_difference(__VA_ARGS__, differences::make_batch(seed)) < 1e-8); \
  }
