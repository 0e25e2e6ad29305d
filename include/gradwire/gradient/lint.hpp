// SPDX-License-Identifier: Apache-2.0
// What a loss may contain only where it says that it is meant: k1 with a gradient, also where it is written by hand as
// logprobs - ref_logprobs. And what it may not: a mean of a metric, whose divisor reads logprobs. Looked for only where
// one of them occurs at all.
#pragma once

#include <gradwire/datum/field.hpp>
#include <gradwire/expression/conditional.hpp>
#include <gradwire/gradient/terms.hpp>

namespace gradwire::inline v0 {
namespace formula {

template <class Op>
inline constexpr bool is_suspect = std::is_same_v<Op, k1_op> || std::is_same_v<Op, mean_where_op>;
template <class E>
inline constexpr bool has_suspect = false;
template <class Op, class... Xs>
inline constexpr bool has_suspect<node<Op, Xs...>> = is_suspect<Op> || (has_suspect<Xs> || ...);
template <class A, class B>
inline constexpr bool is_k1_by_hand = role_of<A> == role::current&& role_of<B> == role::reference;
template <class A, class B>
inline constexpr bool has_suspect<node<subtract_op, A, B>> = is_k1_by_hand<A, B> || has_suspect<A> || has_suspect<B>;

// Does the operation hand one operand's slope on unchanged? Which one may depend on any of them.
template <class Op>
inline constexpr bool picks = std::is_same_v<Op, where_op> || std::is_same_v<Op, clamp_op> ||
                              std::is_same_v<Op, minimum_op> || std::is_same_v<Op, maximum_op>;

// Is k1 added to the loss, scaled, clamped or chosen, so that its slope reaches the loss as it is? |k1| or k1² is
// another estimator, and k1 times a ratio is one with a gradient.
template <class E, class Variable>
inline constexpr bool has_k1 = false;
template <class Op, class Variable, class... Xs>
constexpr bool has_k1_below() {
  if constexpr (!has_suspect<node<Op, Xs...>> || !active<node<Op, Xs...>, Variable> || allows<Op>(lint::k1_as_loss))
    return false;
  else if constexpr (std::is_same_v<Op, k1_op>)
    return true;
  else if constexpr (picks<Op> || is_linear<Op>)
    return ((active<Xs, Variable> && has_k1<Xs, Variable>) || ...);
  else if constexpr (requires { requires Op::bilinear; })
    return (active<Xs, Variable> + ... + 0) == 1 && (has_k1<Xs, Variable> || ...);
  else
    return false;
}
template <class Op, class... Xs, class Variable>
inline constexpr bool has_k1<node<Op, Xs...>, Variable> = has_k1_below<Op, Variable, Xs...>();
template <class A, class B, class Variable>
inline constexpr bool has_k1<node<straight_through_op, A, B>, Variable> = has_k1<B, Variable>;

// By hand it is a KL only if the reference does not steer the gradient anywhere else: k3 is exp(-d) + d - 1, and a
// ratio to the reference, a margin or an advantage times d are no KL. So d reaches the loss through sums, means, clamps
// and numbers, and no other slope of the loss reads the reference.
template <class E>
inline constexpr bool reads_reference = false;
template <fixed_string Name, extent Level, fixed_string Wire>
inline constexpr bool reads_reference<field<Name, Level, Wire, role::reference>> = true;
template <class Op, class... Xs>
inline constexpr bool reads_reference<node<Op, Xs...>> = (reads_reference<Xs> || ...);

template <class E, class Variable>
inline constexpr bool reference_steers = false;
template <class Op, class Variable, class... Xs>
constexpr bool reference_steers_below() {
  if constexpr (!active<node<Op, Xs...>, Variable> || !reads_reference<node<Op, Xs...>>)
    return false;
  else if constexpr (is_linear<Op> || std::is_same_v<Op, clamp_op>)
    return (reference_steers<Xs, Variable> || ...);
  else if constexpr (requires { requires Op::bilinear; })
    return (active<Xs, Variable> + ... + 0) != 1 || ((!active<Xs, Variable> && reads_reference<Xs>) || ...) ||
           (reference_steers<Xs, Variable> || ...);
  else
    return true;
}
template <class Op, class... Xs, class Variable>
inline constexpr bool reference_steers<node<Op, Xs...>, Variable> = reference_steers_below<Op, Variable, Xs...>();

template <class E, class Variable>
inline constexpr bool has_k1_by_hand = false;
template <class Op, class Variable, class... Xs>
constexpr bool has_k1_by_hand_below() {
  if constexpr (!has_suspect<node<Op, Xs...>> || !active<node<Op, Xs...>, Variable> || allows<Op>(lint::k1_as_loss))
    return false;
  else if constexpr (is_linear<Op> || std::is_same_v<Op, clamp_op>)
    return (has_k1_by_hand<Xs, Variable> || ...);
  else if constexpr (requires { requires Op::bilinear; })
    return (active<Xs, Variable> + ... + 0) == 1 && !((!active<Xs, Variable> && reads_data<Xs>) || ...) &&
           (has_k1_by_hand<Xs, Variable> || ...);
  else
    return false;
}
template <class Op, class... Xs, class Variable>
inline constexpr bool has_k1_by_hand<node<Op, Xs...>, Variable> = has_k1_by_hand_below<Op, Variable, Xs...>();
template <class A, class B, class Variable>
inline constexpr bool has_k1_by_hand<node<subtract_op, A, B>, Variable> =
    is_k1_by_hand<A, B> ? active<A, Variable> : has_k1_by_hand_below<subtract_op, Variable, A, B>();

template <class Loss, class Variable>
constexpr bool has_k1_as_loss() {
  if constexpr (!has_suspect<Loss>)
    return false;
  else
    return has_k1<Loss, Variable> || (has_k1_by_hand<Loss, Variable> && !reference_steers<Loss, Variable>);
}

// Does a mean divide by what reads logprobs?
template <class E>
inline constexpr bool has_metric_mean = false;
template <class Op, class... Xs>
inline constexpr bool has_metric_mean<node<Op, Xs...>> = has_suspect<node<Op, Xs...>> && (has_metric_mean<Xs> || ...);
template <class A, class B>
inline constexpr bool has_metric_mean<node<mean_where_op, A, B>> = reads_logprobs<B> || has_metric_mean<A>;

}  // namespace formula
}  // namespace gradwire::inline v0
