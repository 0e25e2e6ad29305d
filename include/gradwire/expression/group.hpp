// SPDX-License-Identifier: Apache-2.0
// Statistics over the sequences of a group, or of the batch, of one value x a sequence: what advantages and baselines
// are made of. They broadcast back into per-sequence and per-token formulas.
//
//   std_over_group<ddof>(x)        √(Σ (x − mean)² / (n − ddof)); exactly 0, with slope 0, where all x are equal
//   max_over_group(x), min_over_group(x), second_largest_over_group(x)     without a gradient
//   centered_over_group(x)         x − mean; exactly 0 where all x are equal
//   leave_one_out_mean(x)          Σ_{j≠i} x_j / (n − 1), 0 in a group of one
//
// The last two are one value a sequence, the others one a group.
// …_over_sequences is the same over the batch. Of a value that comes from tokens, sequences without any w ≠ 0 take no
// part; of a column, every sequence does that has any, or whose value is finite. mean_over_group and
// mean_over_sequences are in reductions.hpp.
#pragma once

#include <gradwire/expression/reductions.hpp>

namespace gradwire::inline v0 {

// What is computed of the n values of a set; `each`: one result a sequence instead of one a set.
template <int Ddof>
struct standard_deviation {
  static_assert(Ddof == 0 || Ddof == 1, "gradwire: the standard deviation divides by n (ddof 0) or n - 1 (ddof 1)");
  static constexpr int ddof = Ddof;
  static constexpr bool each = false, linear = false, detached = false;
};
struct highest_value {
  static constexpr bool each = false, linear = false, detached = true;
};
struct lowest_value {
  static constexpr bool each = false, linear = false, detached = true;
};
struct second_highest_value {  // the largest again if it occurs twice; of a set of one the value itself
  static constexpr bool each = false, linear = false, detached = true;
};
struct centered_value {
  static constexpr bool each = true, linear = true, detached = false;
};
struct mean_of_others {
  static constexpr bool each = true, linear = true, detached = false;
};

template <extent Over, class Statistic>
struct statistic_op {
  using crossing = void;
  using statistic = Statistic;
  static constexpr extent over = Over;
  static constexpr extent body = extent::sequence, output = Statistic::each ? extent::sequence : Over;
  static constexpr bool linear = Statistic::linear, detached = Statistic::detached;
};

namespace formula {

template <extent Over, class Statistic, class X>
constexpr auto statistic(const X& x) {
  static_assert(X::level >= extent::sequence,
                "gradwire: a statistic over sequences takes one value a sequence; reduce tokens with "
                "mean_over_tokens(...) or sum_over_tokens(...) first");
  static_assert(
      X::level < extent::group,
      "gradwire: a statistic over sequences takes one value a sequence; this one is already reduced over them");
  return node<statistic_op<Over, Statistic>, expression_of<X>>{as_expression(x)};
}

}  // namespace formula

// clang-format off
template <int Ddof, expression X> constexpr auto std_over_group(const X& x) { return formula::statistic<extent::group, standard_deviation<Ddof>>(x); }
template <expression X> constexpr auto max_over_group(const X& x) { return formula::statistic<extent::group, highest_value>(x); }
template <expression X> constexpr auto min_over_group(const X& x) { return formula::statistic<extent::group, lowest_value>(x); }
template <expression X> constexpr auto second_largest_over_group(const X& x) { return formula::statistic<extent::group, second_highest_value>(x); }
template <expression X> constexpr auto centered_over_group(const X& x) { return formula::statistic<extent::group, centered_value>(x); }
template <expression X> constexpr auto leave_one_out_mean(const X& x) { return formula::statistic<extent::group, mean_of_others>(x); }

template <int Ddof, expression X> constexpr auto std_over_sequences(const X& x) { return formula::statistic<extent::batch, standard_deviation<Ddof>>(x); }
template <expression X> constexpr auto second_largest_over_sequences(const X& x) { return formula::statistic<extent::batch, second_highest_value>(x); }
template <expression X> constexpr auto centered_over_sequences(const X& x) { return formula::statistic<extent::batch, centered_value>(x); }
template <expression X> constexpr auto leave_one_out_mean_over_sequences(const X& x) { return formula::statistic<extent::batch, mean_of_others>(x); }
// clang-format on

}  // namespace gradwire::inline v0
