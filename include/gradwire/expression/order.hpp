// SPDX-License-Identifier: Apache-2.0
// Values that need the whole batch at once: sums within a partition that is named by a per-sequence column (micro-batch,
// prompt), the batch in sorted order, and selection of its largest tokens. Partitions and sorting carry a gradient (that
// of the sum, and through the permutation); selection does not.
#pragma once

#include <gradwire/expression/reductions.hpp>

namespace gradwire::inline v0 {

// Σ of x over the sequences whose value of Partition is the same; one value a sequence, equal within the part.
template <class Partition>
struct within_op {
  using crossing = void;
  using coupled = void;
  static constexpr extent body = extent::sequence, output = extent::sequence;
  static constexpr bool linear = true;
};

// The i-th sequence (or group) gets the i-th smallest value of the batch.
template <extent Level>
struct sort_op {
  using crossing = void;
  using coupled = void;
  static constexpr extent body = Level, output = Level;
  static constexpr bool linear = false;  // which element goes where depends on the values
};

// The value of the max(1, ⌊fraction · n⌋)-th largest of the batch's n unmasked tokens.
struct top_threshold_op {
  using crossing = void;
  using coupled = void;
  static constexpr extent body = extent::token, output = extent::batch;
  static constexpr bool linear = false, detached = true;
};

template <class Field, expression X>
constexpr auto sum_within(Field, const X& x) {
  static_assert(Field::level == extent::sequence, "gradwire: a partition is named by a per-sequence column");
  static_assert(X::level >= extent::sequence,
                "gradwire: the expression is still per token; reduce it with sum_over_tokens(...) first");
  return node<within_op<Field>, expression_of<X>>{as_expression(x)};
}
// Σ w·x / Σ w over all tokens of the part to which the sequence belongs.
template <class Field, operand X>
constexpr auto mean_over_tokens_within(Field field, const X& x) {
  return divide_or_zero(sum_within(field, sum_over_tokens(x)), sum_within(field, terminals::weight_sum));
}
// Σ_parts x_part / #parts, for an x that is equal within each part.
template <class Field, expression X>
constexpr auto mean_over_parts(Field field, const X& x) {
  using formula::reduce;
  const auto one = 0.0 * terminals::sequence_length + 1.0;
  const auto share = 1.0 / sum_within(field, one);
  return reduce<extent::sequence, extent::batch, plain_sum>(x * share) /
         reduce<extent::sequence, extent::batch, plain_sum>(share);
}

template <expression X>
constexpr auto sort_over_batch(const X& x) {
  static_assert(X::level == extent::sequence || X::level == extent::group,
                "gradwire: sort_over_batch takes one value a sequence or a group");
  return node<sort_op<X::level>, expression_of<X>>{as_expression(x)};
}

// True for the largest fraction of the batch's unmasked tokens by x (ties at the threshold are all selected); detached.
template <expression X>
constexpr auto top_fraction_over_batch(const X& x, double fraction) {
  static_assert(X::level == extent::token, "gradwire: top_fraction_over_batch selects tokens by a per-token expression");
  auto value = stop_gradient(x);
  return value >= node<top_threshold_op, decltype(value), constant>{value, constant{fraction}};
}

}  // namespace gradwire::inline v0
