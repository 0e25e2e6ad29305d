// SPDX-License-Identifier: Apache-2.0
// Whitening over the batch's unmasked tokens: (x − μ) / √(var + …), as the sources do it. Masked tokens are moved and
// scaled too, but count for nothing.
//
//   μ = Σ x / (N + mean_epsilon),  var = Σ (x − μ)² / (N + mean_epsilon) · N/(N − 1) (bessel),
//   result (x − μ) / √(var + variance_epsilon), or (x − μ) / √max(var, variance_floor)
#pragma once

#include <gradwire/advantage/parts/walk.hpp>
#include <gradwire/expression.hpp>

namespace gradwire::inline v0 {
namespace advantages {

struct whitening {
  double mean_epsilon = 0;      // added to N
  double variance_epsilon = 0;  // added to the variance
  double variance_floor = 0;    // the least variance
  bool bessel = true;           // divide the squares by N − 1
};
inline constexpr whitening verl_whitening{.mean_epsilon = 1e-8, .variance_epsilon = 1e-8};
inline constexpr whitening skyrl_whitening{.variance_epsilon = 1e-8};
inline constexpr whitening slime_whitening{.variance_epsilon = 1e-8};
inline constexpr whitening openrlhf_whitening{.variance_floor = 1e-8, .bessel = false};

template <class Batch>
numbers_per_token whitened(const Batch& data, numbers_per_token x, whitening how) {
  double count = 0, sum = 0, squares = 0;
  backwards(data, [&](std::size_t, std::size_t i, std::size_t, bool masked) {
    if (masked) return;
    count += 1;
    sum += x[i];
  });
  if (count == 0) return x;
  const double mean = sum / (count + how.mean_epsilon);
  backwards(data, [&](std::size_t, std::size_t i, std::size_t, bool masked) {
    if (!masked) squares += (x[i] - mean) * (x[i] - mean);
  });
  double variance = squares / (count + how.mean_epsilon);
  if (how.bessel && count > 1) variance *= count / (count - 1);
  if (variance < how.variance_floor) variance = how.variance_floor;
  const double scale = 1 / __builtin_sqrt(variance + how.variance_epsilon);
  for (double& each : x) each = (each - mean) * scale;
  return x;
}

template <class Batch>
numbers_per_token less_mean(const Batch& data, const numbers_per_token& x) {
  return shifted(x, -mean_of_unmasked(data, x));
}

// whitened of a formula with one value a sequence, which stands at each of its unmasked tokens.
template <expression X>
constexpr auto whitened(const X& x, whitening how) {
  const auto tokens = terminals::weight_count;
  const auto count = terminals::total_count;
  const auto mean = divide_or_zero(sum_over_sequences(tokens * x), count + how.mean_epsilon);
  const auto centred = x - mean;
  const auto biased = divide_or_zero(sum_over_sequences(tokens * square(centred)), count + how.mean_epsilon);
  const auto bessel = count / max(count - (how.bessel ? 1.0 : 0.0), 1.0);
  const auto variance = max(biased * bessel, how.variance_floor);
  return centred / sqrt(variance + how.variance_epsilon);
}

}  // namespace advantages
}  // namespace gradwire::inline v0
