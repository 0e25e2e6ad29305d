// SPDX-License-Identifier: Apache-2.0
// Holds a loss to another project's numbers: |found − expected| ≤ tolerance · max(|expected|, largest gradient of the
// case).
#pragma once

#include "../golden/golden_file.hpp"
#include "../loss/golden_case.hpp"

namespace golden {

struct comparison {
  const golden_case& of;
  double gradient = 0;  // the largest

  explicit comparison(const golden_case& c) : of(c) {
    gradient = largest(c.slope) > largest(c.candidate_slope) ? largest(c.slope) : largest(c.candidate_slope);
  }
  void check(const std::string& what, double expected, double found) const {
    const double scale = size_of(expected) > gradient ? size_of(expected) : gradient;
    BOOST_CHECK_MESSAGE(size_of(found - expected) <= of.tolerance * scale,
                        of.name << ": " << what << ' ' << found << " for " << expected << " (" << of.note << ')');
  }
};

template <class Loss, class Variable, class Batch>
void check_upstream(const golden_case& c, const Loss& loss, Variable variable, const Batch& data) {
  const comparison compare(c);
  const auto found = gradwire::evaluate(loss, gradwire::wrt(variable), gradwire::at(data));
  compare.check("value", c.value, found.loss);
  for (std::size_t s = 0; s < data.size(); ++s) {
    const std::string at = "slope of sequence " + std::to_string(s);
    if constexpr (Variable::level == gradwire::extent::sequence) {
      compare.check(at, c.slope[0][s], found.slope.data()[s]);
    } else {
      for (std::size_t t = 0; t < data.shape().length[s]; ++t) {
        if constexpr (Variable::level == gradwire::extent::candidate) {
          for (std::size_t k = 0; k < c.candidates; ++k)
            compare.check(at + ", token " + std::to_string(t), c.candidate_slope[s][t][k], found.slope.plane(s, k)[t]);
        } else {
          compare.check(at + ", token " + std::to_string(t), c.slope[s][t], found.slope[s][t]);
        }
      }
    }
  }
  for (const auto& [name, expected] : c.metrics) {
    std::optional<double> value;
    for (const auto& m : found.metrics)
      if (m.name == name) value = m.value;
    BOOST_REQUIRE_MESSAGE(value, c.name << ": no metric " << name);
    compare.check(name, expected, *value);
  }
}

}  // namespace golden
