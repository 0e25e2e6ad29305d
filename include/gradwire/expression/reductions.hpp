// SPDX-License-Identifier: Apache-2.0
// The only way up: from candidate to token, token to sequence, sequence to group and to the batch. Reductions are named
// after what they divide by; there is no bare mean. `w` is the column `weights`; a position with w = 0 is masked, and
// masks select, they never multiply: NaN or inf at a masked position changes nothing.
//
//   sum_over_tokens(x)            Σ_t w·x                               per sequence
//   mean_over_tokens(x)           Σ_t w·x / Σ_t w                       per sequence (0 where every position is masked)
//   mean_over_tokens_by_count(x)  Σ_t w·x / #(w ≠ 0)                    per sequence
//   sum_over_positions(x)         Σ_t x over all positions, masked ones too
//   mean_over_all_tokens(x)       Σ_s Σ_t w·x / Σ_s Σ_t w               batch
//   mean_over_sequences(x)        Σ_s x / #(sequences with any w ≠ 0)   batch; all_masked::counts divides by all
//   sum_over_group(x), mean_over_group(x)                               per group
//   mean_over_groups(x)           Σ_g x / #(groups with any w ≠ 0)      batch; for pairs: mean_over_pairs
//   chosen(x) - rejected(x)       the sequence of a pair                per group
//   sum_over_candidates(x)        Σ_k x                                 per token; max_over_candidates detached
#pragma once

#include <gradwire/expression/functions.hpp>
#include <gradwire/expression/terminals.hpp>
#include <gradwire/expression/traits.hpp>

namespace gradwire::inline v0 {

// What a crossing adds up, and over which elements.
struct weighted_sum {  // Σ w·x over w ≠ 0
  static constexpr bool over_unmasked = true;
};
struct unit_sum {  // Σ x over w ≠ 0
  static constexpr bool over_unmasked = true;
};
struct plain_sum {};  // Σ x over every element
struct counted_sum {  // Σ x over the elements that have any w ≠ 0
  static constexpr bool over_counted = true;
};
struct largest {};  // max x over w ≠ 0, or over the counted elements
struct smallest {};
template <extent At>     // of which the divisor is the sum: sequence or batch
struct own_weight_sum {  // Σ x over w ≠ 0 for an x that divides: it must be positive, or every x 0
  static constexpr bool divides = true;
};
template <int Role>
struct role_sum {  // Σ x over the sequences of a pair's role: 1 chosen, 2 rejected
  static constexpr int role = Role;
};

template <class Kind>
inline constexpr bool is_divisor = requires {
  requires Kind::divides;
};

template <extent From, extent To, class Kind>
struct reduce_op {
  using crossing = void;
  using kind = Kind;
  static constexpr extent body = From, output = To;
  static constexpr bool linear = true, keeps_role = From != extent::candidate;
  static constexpr bool detached = std::is_same_v<Kind, largest> || std::is_same_v<Kind, smallest> || is_divisor<Kind>;
};

enum class all_masked : bool { excluded, counts };

namespace formula {

template <extent From, extent To, class Kind, class X>
constexpr auto reduce(const X& x) {
  return node<reduce_op<From, To, Kind>, X>{x};
}

template <class Kind, class X>
constexpr auto reduce_tokens(const X& x) {
  static_assert(X::level <= extent::token || !reduced_over_tokens<X>,
                "gradwire: a reduction over tokens takes a per-token expression; this one is already reduced over "
                "tokens. Combine sequences with mean_over_sequences(...) instead");
  static_assert(X::level != extent::candidate,
                "gradwire: the expression is per candidate; reduce it with sum_over_candidates(...) first");
  if constexpr (X::level == extent::candidate)  // one error is enough
    return reduce<extent::token, extent::sequence, Kind>(reduce<extent::candidate, extent::token, plain_sum>(x));
  else
    return reduce<extent::token, extent::sequence, Kind>(x);
}

}  // namespace formula

// clang-format off
template <operand X> constexpr auto sum_over_tokens(const X& x) { return formula::reduce_tokens<weighted_sum>(as_expression(x)); }
template <operand X> constexpr auto sum_over_positions(const X& x) { return formula::reduce_tokens<plain_sum>(as_expression(x)); }
template <operand X> constexpr auto sum_over_tokens_unweighted(const X& x) { return formula::reduce_tokens<unit_sum>(as_expression(x)); }
template <operand X> constexpr auto mean_over_tokens(const X& x) { return divide_or_zero(sum_over_tokens(x), terminals::weight_sum); }
template <operand X> constexpr auto mean_over_tokens_by_count(const X& x) { return divide_or_zero(sum_over_tokens(x), terminals::weight_count); }
template <operand X> constexpr auto max_over_tokens(const X& x) { return formula::reduce_tokens<largest>(as_expression(x)); }
template <operand X> constexpr auto min_over_tokens(const X& x) { return formula::reduce_tokens<smallest>(as_expression(x)); }

template <expression X> constexpr auto max_over_candidates(const X& x) {
  static_assert(X::level == extent::candidate, "gradwire: max_over_candidates takes a per-candidate expression; this one is coarser");
  return formula::reduce<extent::candidate, extent::token, largest>(as_expression(x));
}
template <expression X> constexpr auto sum_over_candidates(const X& x) {
  static_assert(X::level == extent::candidate, "gradwire: sum_over_candidates takes a per-candidate expression; this one is coarser");
  return formula::reduce<extent::candidate, extent::token, plain_sum>(as_expression(x));
}

// A value that comes from tokens counts only for sequences that have any; a column counts for every sequence.
template <expression X> constexpr auto sum_over_sequences(const X& x) {
  static_assert(X::level >= extent::sequence, "gradwire: the expression is still per token; reduce it with mean_over_tokens(...) or sum_over_tokens(...) first");
  static_assert(X::level != extent::group, "gradwire: the expression is already reduced to one value a group; use mean_over_groups(...) or sum_over_groups(...)");
  static_assert(X::level != extent::batch, "gradwire: the expression is already reduced over the batch");
  using kind = std::conditional_t<formula::reduced_over_tokens<expression_of<X>>, counted_sum, plain_sum>;
  return formula::reduce<extent::sequence, extent::batch, kind>(as_expression(x));
}
template <all_masked Empty = all_masked::excluded, expression X> constexpr auto mean_over_sequences(const X& x) {
  if constexpr (Empty == all_masked::counts || !formula::reduced_over_tokens<expression_of<X>>)
    return divide_or_zero(sum_over_sequences(x), terminals::sequence_count);
  else
    return divide_or_zero(sum_over_sequences(x), terminals::counted_sequences);
}
template <expression X> constexpr auto max_over_sequences(const X& x) {
  static_assert(X::level == extent::sequence, "gradwire: max_over_sequences takes one value a sequence; reduce tokens with max_over_tokens(...) first");
  return formula::reduce<extent::sequence, extent::batch, largest>(as_expression(x));
}
template <expression X> constexpr auto min_over_sequences(const X& x) {
  static_assert(X::level == extent::sequence, "gradwire: min_over_sequences takes one value a sequence; reduce tokens with min_over_tokens(...) first");
  return formula::reduce<extent::sequence, extent::batch, smallest>(as_expression(x));
}

template <operand X> constexpr auto sum_over_all_tokens(const X& x) { return sum_over_sequences(sum_over_tokens(x)); }
template <operand X> constexpr auto mean_over_all_tokens(const X& x) { return divide_or_zero(sum_over_all_tokens(x), terminals::total_weight); }
template <operand X> constexpr auto mean_over_all_tokens_by_count(const X& x) { return divide_or_zero(sum_over_all_tokens(x), terminals::total_count); }
template <operand X> constexpr auto max_over_all_tokens(const X& x) { return max_over_sequences(max_over_tokens(x)); }
template <operand X> constexpr auto min_over_all_tokens(const X& x) { return min_over_sequences(min_over_tokens(x)); }

template <expression X> constexpr auto sum_over_group(const X& x) {
  static_assert(X::level >= extent::sequence, "gradwire: the expression is still per token; reduce it with mean_over_tokens(...) or sum_over_tokens(...) first");
  static_assert(X::level <= extent::sequence, "gradwire: the expression is already reduced over the sequences of a group");
  using kind = std::conditional_t<formula::reduced_over_tokens<expression_of<X>>, counted_sum, plain_sum>;
  return formula::reduce<extent::sequence, extent::group, kind>(as_expression(x));
}
template <expression X> constexpr auto mean_over_group(const X& x) {
  if constexpr (formula::reduced_over_tokens<expression_of<X>>)
    return divide_or_zero(sum_over_group(x), terminals::counted_size);
  else
    return sum_over_group(x) / terminals::group_size;
}
template <expression X> constexpr auto chosen(const X& x) {
  static_assert(X::level == extent::sequence, "gradwire: chosen(...) picks a per-sequence value of a pair; reduce tokens with sum_over_tokens(...) first");
  return formula::reduce<extent::sequence, extent::group, role_sum<1>>(as_expression(x));
}
template <expression X> constexpr auto rejected(const X& x) {
  static_assert(X::level == extent::sequence, "gradwire: rejected(...) picks a per-sequence value of a pair; reduce tokens with sum_over_tokens(...) first");
  return formula::reduce<extent::sequence, extent::group, role_sum<2>>(as_expression(x));
}
template <expression X> constexpr auto sum_over_groups(const X& x) {
  static_assert(X::level >= extent::group, "gradwire: the expression is still per sequence; reduce it with sum_over_group(...), or with chosen(...) - rejected(...), first");
  static_assert(X::level != extent::batch, "gradwire: the expression is already reduced over the batch");
  using kind = std::conditional_t<formula::reduced_over_tokens<expression_of<X>>, counted_sum, plain_sum>;
  return formula::reduce<extent::group, extent::batch, kind>(as_expression(x));
}
template <expression X> constexpr auto mean_over_groups(const X& x) {
  if constexpr (formula::reduced_over_tokens<expression_of<X>>)
    return divide_or_zero(sum_over_groups(x), terminals::counted_groups);
  else
    return divide_or_zero(sum_over_groups(x), terminals::group_count);
}
template <expression X> constexpr auto mean_over_pairs(const X& x) { return mean_over_groups(x); }

// Means with a weight of one's own in place of the column `weights`: Σ w'·x / Σ w'. The weight may read data only.
template <operand X, operand W> constexpr auto mean_over_all_tokens(const X& x, const W& weight) {
  static_assert(!formula::reads_logprobs<expression_of<W>>, "gradwire: a denominator may read data, never logprobs; divide explicitly if the quotient is what you mean");
  return divide_or_zero(sum_over_sequences(sum_over_tokens_unweighted(x * weight)), sum_over_sequences(formula::reduce_tokens<own_weight_sum<extent::batch>>(as_expression(weight))));
}
template <operand X, operand W> constexpr auto mean_over_tokens(const X& x, const W& weight) {
  static_assert(!formula::reads_logprobs<expression_of<W>>, "gradwire: a denominator may read data, never logprobs; divide explicitly if the quotient is what you mean");
  return divide_or_zero(sum_over_tokens_unweighted(x * weight), formula::reduce_tokens<own_weight_sum<extent::sequence>>(as_expression(weight)));
}
// clang-format on

}  // namespace gradwire::inline v0
