// SPDX-License-Identifier: Apache-2.0
// A golden case as a batch of doubles, and the comparison of everything that evaluate() returns with its numbers.
#pragma once

#include <gradwire/loss.hpp>

#include <boost/test/unit_test.hpp>
#include <optional>
#include "../golden/golden.hpp"

namespace golden {

// The case's datums grouped as it says; each carries the columns of Fields, taken by name.
template <class... Fields>
auto batch_of_case(const golden_case& c) {
  namespace gw = gradwire;
  const auto make = [&](std::size_t s) {
    const row& weights = c.token.at("weights")[s];
    std::vector<int> ids(weights.size() + 1, 7);
    const auto values = [&]<class F>(F field) {
      if constexpr (F::level == gw::extent::token)
        return field = c.token.at(F::name.c_str())[s];
      else if constexpr (F::level == gw::extent::sequence)
        return field = c.sequence.at(F::name.c_str())[s];
      else
        return field = c.candidate.at(F::name.c_str())[s];
    };
    if constexpr (((Fields::level == gw::extent::candidate) || ...)) {
      const std::vector<std::vector<int>> k_ids(weights.size(), std::vector<int>(c.candidates, 7));
      return gw::datum{gw::prompt(ids), gw::fields::candidates = k_ids,
                       gw::fields::weights = weights, values(Fields{})...};
    } else {
      return gw::datum{gw::prompt(ids), gw::fields::weights = weights, values(Fields{})...};
    }
  };
  using datum_type = decltype(make(0));
  using group_type = decltype(gw::group(make(0)));
  std::vector<group_type> groups;
  std::size_t s = 0;
  for (std::size_t size : c.group_sizes) {
    if (c.pairs) {
      groups.push_back(gw::group(gw::chosen(make(s)), gw::rejected(make(s + 1))));
    } else {
      std::vector<datum_type> members;
      for (std::size_t i = 0; i < size; ++i) members.push_back(make(s + i));
      groups.push_back(gw::group(members));
    }
    s += size;
  }
  return gw::batch_of<double>(groups);
}

template <class Loss, class Variable, class Batch>
void check_case(const golden_case& c, const Loss& loss, Variable variable, const Batch& data) {
  const auto result = gradwire::evaluate(loss, gradwire::wrt(variable), gradwire::at(data));
  BOOST_TEST_INFO(c.name);
  BOOST_CHECK_MESSAGE(c.close(c.value, result.loss), c.name << ": value " << result.loss << " for " << c.value);
  for (std::size_t s = 0; s < data.size(); ++s) {
    const std::size_t targets = data.shape().length[s];
    for (std::size_t t = 0; t < targets; ++t) {
      if constexpr (Variable::level == gradwire::extent::candidate) {
        for (std::size_t k = 0; k < c.candidates; ++k) {
          const double found = result.slope.plane(s, k)[t];
          BOOST_CHECK_MESSAGE(c.close(c.candidate_slope[s][t][k], found),
                              c.name << ": slope [" << s << "][" << t << "][" << k << "] " << found << " for "
                                     << c.candidate_slope[s][t][k]);
        }
      } else {
        const double found = result.slope[s][t];
        BOOST_CHECK_MESSAGE(c.close(c.slope[s][t], found),
                            c.name << ": slope [" << s << "][" << t << "] " << found << " for " << c.slope[s][t]);
      }
    }
  }
  for (const auto& [name, expected] : c.metrics) {
    std::optional<double> found;
    for (const auto& m : result.metrics)
      if (m.name == name) found = m.value;
    BOOST_REQUIRE_MESSAGE(found, c.name << ": no metric " << name);
    BOOST_CHECK_MESSAGE(c.close(expected, *found), c.name << ": " << name << ' ' << *found << " for " << expected);
  }
  if (data.total_count() == 0) BOOST_CHECK_MESSAGE(result.metrics.empty(), c.name << ": a metric of nothing");
}

}  // namespace golden
