// SPDX-License-Identifier: Apache-2.0
// What a finished gradient says about a step, without any model: norms, clipped tokens, noise.
//
//   auto [loss, slope] = value_and_gradient(my_grpo{}, wrt(logprobs), at(data));
//   for (auto [name, value] : gradient_metrics(slope, data)) …
//
//   grad_l2_per_datum_mean   mean over datums of ‖dL/dx‖₂ of the datum        unit of the loss per nat
//   grad_l2_per_datum_max    the largest of them
//   dead_grad_frac           share of the unmasked tokens whose slope is exactly 0: clipped away, or an advantage of 0
//   pg_estimator_std_error   √(variance / n) of the datums' mean slopes, variance with n − 1: a cheap proxy for the
//                            noise of the step; source: the Fireworks cookbook's estimator_std_error_proxy
//
// Over unmasked tokens (w ≠ 0); datums without any do not count. A metric of nothing is absent: all of them where every
// token is masked, the last one where fewer than two datums count.
#pragma once

#include <gradwire/gradient/run.hpp>

namespace gradwire::inline v0 {
namespace detail {

// Of a gradient per token, per candidate (the slope of a token is then the sum over its candidates, and it is dead
// where all of them are 0) or per sequence (a sequence is then one token).
template <class T>
[[gnu::noinline]] std::vector<metric_value> measure_gradient(const layout& shape, const T* weights, const T* slope,
                                                             extent level) {
  double counted = 0, norms = 0, largest = 0, tokens = 0, dead = 0;
  double mean = 0, squares = 0;  // of the datums' mean slopes, by Welford's recurrence
  const std::size_t planes = level == extent::candidate ? shape.candidates() : 1;
  for (std::size_t s = 0; s < shape.sequences(); ++s) {
    double n = 0, sum = 0, square = 0;
    for (std::size_t t = shape.offset[s]; t < shape.offset[s] + shape.length[s]; ++t) {
      if (weights[t] == 0 || (level == extent::sequence && n > 0)) continue;
      bool moves = false;
      for (std::size_t k = 0; k < planes; ++k) {
        const double x = static_cast<double>(slope[level == extent::sequence ? s : k * shape.padded() + t]);
        sum += x;
        square += x * x;
        moves = moves || x != 0;
      }
      ++n;
      dead += !moves;
    }
    if (n == 0) continue;
    ++counted;
    tokens += n;
    const double norm = __builtin_sqrt(square);
    norms += norm;
    if (!(norm <= largest)) largest = norm;  // NaN shows
    const double away = sum / n - mean;
    mean += away / counted;
    squares += away * (sum / n - mean);
  }
  std::vector<metric_value> found;
  if (counted == 0) return found;
  found.push_back({"grad_l2_per_datum_mean", norms / counted});
  found.push_back({"grad_l2_per_datum_max", largest});
  found.push_back({"dead_grad_frac", dead / tokens});
  if (counted > 1) found.push_back({"pg_estimator_std_error", __builtin_sqrt(squares / (counted - 1) / counted)});
  return found;
}

}  // namespace detail

// slope: what value_and_gradient or evaluate returned for this batch.
template <class Batch>
std::vector<metric_value> gradient_metrics(const column<typename Batch::value_type>& slope, const Batch& batch) {
  return detail::measure_gradient(batch.shape(), batch.data(fields::weights), slope.data(), slope.level());
}

}  // namespace gradwire::inline v0
