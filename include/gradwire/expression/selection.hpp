// SPDX-License-Identifier: Apache-2.0
// Selection of a number of the batch's unmasked tokens, as a truth value per token without a gradient:
//
//   top_count_over_batch(x, count)            the tokens with the `count` largest x; ties by the smaller hash
//   smallest_hash_over_batch(c, count, seed)  of those where the condition c holds, the `count` with the smallest hash
//   token_share(fraction)                     a count: max(1, ⌊fraction · #(w ≠ 0)⌋)
//
// The hash is of (seed, datum id, position): a random choice that repeats, whatever the threads and the order of
// evaluation. A datum's id is its index in the batch, or the column `datum_id` where the batch has it. Fewer are
// selected where fewer are there. A seed is exact up to 2⁵³.
#pragma once

#include <cstdint>
#include <gradwire/expression/reductions.hpp>

namespace gradwire::inline v0 {

struct select_op {  // 1 for a token that is selected by its value, 0 for the others; also read: the count, the seed
  using crossing = void;
  using coupled = void;
  using selects = void;
  static constexpr extent body = extent::token, output = extent::token;
  static constexpr bool linear = false, detached = true;
};

constexpr auto token_share(double fraction) { return max(floor(fraction * terminals::total_count), 1.0); }

template <expression X, operand Count>
constexpr auto top_count_over_batch(const X& x, const Count& count, std::uint64_t seed = 0) {
  static_assert(X::level == extent::token, "gradwire: top_count_over_batch selects tokens by a per-token expression");
  static_assert(expression_of<Count>::level == extent::batch && !formula::reads_logprobs<expression_of<Count>>,
                "gradwire: the count of a selection is one number for the batch and reads data, never logprobs");
  using value = expression_of<X>;
  return 0.5 < node<select_op, value, expression_of<Count>, constant>{as_expression(x), as_expression(count),
                                                                      constant{static_cast<double>(seed)}};
}

template <truth Condition, operand Count>
constexpr auto smallest_hash_over_batch(const Condition& condition, const Count& count, std::uint64_t seed) {
  static_assert(Condition::level == extent::token,
                "gradwire: smallest_hash_over_batch selects tokens by a per-token condition");
  return top_count_over_batch(where(condition, 0.0, -__builtin_huge_val()), count, seed);
}

}  // namespace gradwire::inline v0
