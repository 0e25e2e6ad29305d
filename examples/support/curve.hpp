// SPDX-License-Identifier: Apache-2.0
// How a loss answers to one token: L and dL/d(its logprob) of a batch that is that token alone, over the ratio to the
// old policy or over the logprob. All other models' logprobs are the old policy's. A loss that reads an advantage has a
// curve for A = +1 and one for A = −1; one that compares pairs moves the chosen or the rejected token; and so on.
#pragma once

#include <string>
#include <vector>

#include "catalogue.hpp"

namespace catalogue {

struct curve_series {
  std::string name;           // "A = +1"
  std::vector<double> loss;   // one a point; NaN where it cannot be evaluated
  std::vector<double> slope;  // dL/dlogprob
};
struct curve {
  std::string title;
  std::string abscissa;  // "ratio to the old policy"
  std::string slope_name;
  std::vector<double> x;
  std::vector<curve_series> series;
};

enum class curve_axis : unsigned char { ratio, logprob };

curve curve_of(const preset_row& of, std::span<const double> values, curve_axis axis, std::size_t points = 481);

// "old logprob": whose ratio to the trainer's the loss reads; empty if none's.
std::string ratio_name(const row& of);

std::string curve_csv(const curve& of);
std::string curve_svg(const curve& of);  // two panels: the loss, the slope

}  // namespace catalogue
