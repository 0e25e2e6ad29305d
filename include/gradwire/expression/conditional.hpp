// SPDX-License-Identifier: Apache-2.0
// Means for metrics: over the tokens or sequences where a condition holds, and the standard deviation over the tokens.
// A condition may read logprobs, because a metric has no gradient; in a loss it may not. Where nothing is averaged, the
// metric is absent.
//
//   mean_over_all_tokens_where(x, c)    Σ w·x·1[c] / Σ w·1[c]
//   mean_over_sequences_where(x, c)     Σ x·1[c] / Σ 1[c]       over the sequences that mean_over_sequences(x) is over
//   std_over_all_tokens<ddof>(x)        √(Σ (x − mean)² / (n − ddof)) over the n tokens with w ≠ 0
#pragma once

#include <gradwire/expression/reductions.hpp>

namespace gradwire::inline v0 {

struct mean_where_op : divide_or_zero_op {};

template <operand X, truth C>
constexpr auto mean_over_all_tokens_where(const X& x, const C& condition) {
  return make_node<mean_where_op>(sum_over_all_tokens(where(condition, x, 0.0)),
                                  sum_over_all_tokens(where(condition, 1.0, 0.0)));
}

template <operand X, truth C>
constexpr auto mean_over_sequences_where(const X& x, const C& condition) {
  const auto kept = where(condition, x, 0.0);
  const auto ones = where(condition, 1.0, 0.0);
  static_assert(decltype(kept)::level == extent::sequence,
                "gradwire: mean_over_sequences_where takes one value and one condition a sequence; reduce tokens with "
                "mean_over_tokens(...) first");
  using kind = std::conditional_t<formula::reduced_over_tokens<decltype(kept)>, counted_sum, plain_sum>;
  return make_node<mean_where_op>(formula::reduce<extent::sequence, extent::batch, kind>(kept),
                                  formula::reduce<extent::sequence, extent::batch, kind>(ones));
}

template <int Ddof = 0, expression X>
constexpr auto std_over_all_tokens(const X& x) {
  static_assert(Ddof == 0 || Ddof == 1, "gradwire: the standard deviation divides by n (ddof 0) or n - 1 (ddof 1)");
  const auto sum = [](const auto& y) { return sum_over_sequences(sum_over_tokens_unweighted(y)); };
  const auto mean = divide_or_zero(sum(x), terminals::total_count);
  // Equal values have a deviation and a slope of 0; what rounding leaves of the mean is none.
  const auto variance = divide_or_zero(sum(square(x - mean)), terminals::total_count - Ddof);
  return where(variance > 1e-30 * square(mean), sqrt(variance), 0.0);
}

}  // namespace gradwire::inline v0
