// SPDX-License-Identifier: Apache-2.0
// The terms of a loss: its addends, found through sums, means, scaling by numbers and lets. A term that reads data and
// carries no gradient is a mistake nearly always; a loss is normalised when every term ends in a mean.
#pragma once

#include <gradwire/expression/lint.hpp>
#include <gradwire/expression/order.hpp>
#include <gradwire/expression/traits.hpp>

namespace gradwire::inline v0 {
namespace formula {

// Does E read a column of the data?
template <class E>
inline constexpr bool reads_data = requires {
  E::wire_name;
};
template <class Op, class... Xs>
inline constexpr bool reads_data<node<Op, Xs...>> = (reads_data<Xs> || ...);

// What any model may learn: a loss of several models has terms that carry a gradient for one of them only.
template <class E>
inline constexpr bool is_learned = [] {
  if constexpr (requires { E::column_role; })
    return reads_logprobs<E> || E::column_role == role::learned;
  else
    return false;
}();
template <class E>
inline constexpr bool learns = is_learned<E>;
template <class Op, class... Xs>
inline constexpr bool learns<node<Op, Xs...>> = !is_detached<Op> && (learns<Xs> || ...);
template <class Op, class A, class B>
requires requires { Op::slope_of_second; }
inline constexpr bool learns<node<Op, A, B>> = learns<B>;

template <class Op>
constexpr bool allows(lint what) {
  if constexpr (requires { Op::allowed; })
    return Op::allowed == what;
  else
    return false;
}
// A difference of two logprobs is one thing, as is k1.
template <class Op, class A, class B>
inline constexpr bool is_log_ratio =
    !(role_of<A> == role::none || role_of<B> == role::none) && std::is_base_of_v<subtract_op, Op>;

// ---- terms without a gradient -------------------------------------------------------------------------------------

template <class E, class Variable>
inline constexpr bool has_idle_term = reads_data<E> && !active<E, Variable> && !learns<E>;
template <class Op, class Variable, class A>
constexpr bool idle_of_one() {
  if constexpr (allows<Op>(lint::no_gradient))
    return false;
  else if constexpr (std::is_same_v<Op, k1_op> || !requires { requires Op::linear && !is_detached<Op>; })
    return reads_data<A> && !active<node<Op, A>, Variable> && !learns<node<Op, A>>;
  else
    return has_idle_term<A, Variable>;
}
template <class Op, class Variable, class A, class B>
constexpr bool idle_of_two() {
  if constexpr (requires { requires Op::linear; } && !is_crossing<Op> && !is_log_ratio<Op, A, B>)
    return has_idle_term<A, Variable> || has_idle_term<B, Variable>;
  else if constexpr (requires { requires Op::bilinear; } && !reads_data<B>)
    return has_idle_term<A, Variable>;
  else if constexpr (std::is_same_v<Op, multiply_op> && !reads_data<A>)
    return has_idle_term<B, Variable>;
  else
    return (reads_data<A> || reads_data<B>)&&!active<node<Op, A, B>, Variable> && !learns<node<Op, A, B>>;
}
template <class Op, class A, class Variable>
inline constexpr bool has_idle_term<node<Op, A>, Variable> = idle_of_one<Op, Variable, A>();
template <class Op, class A, class B, class Variable>
inline constexpr bool has_idle_term<node<Op, A, B>, Variable> = idle_of_two<Op, Variable, A, B>();

// ---- terms that end in a mean -------------------------------------------------------------------------------------

// A count or a weight of the batch, or a multiple of one: what a mean divides by.
template <class E>
inline constexpr bool counts = requires {
  E::what;
};
template <class Op, class... Xs>
inline constexpr bool counts<node<Op, Xs...>> = is_crossing<Op> || (counts<Xs> || ...);
template <class E>
inline constexpr bool is_divisor_of_mean = E::level == extent::batch&& counts<E> && !reads_logprobs<E>;

template <class Op>
inline constexpr bool divides = std::is_same_v<Op, divide_op> || std::is_base_of_v<divide_or_zero_op, Op>;

// Is E a multiple of 1 / such a number?
template <class E>
inline constexpr bool is_share = false;
template <class Op, class X>
inline constexpr bool is_share<node<Op, X>> = is_linear<Op> ? is_share<X> : false;
template <class Op, class A, class B>
inline constexpr bool is_share<node<Op, A, B>> = [] {
  if constexpr (divides<Op>)
    return is_divisor_of_mean<B> || is_share<A>;
  else if constexpr (std::is_same_v<Op, multiply_op>)
    return is_share<A> || is_share<B>;
  else if constexpr (is_linear<Op> && !is_crossing<Op>)
    return is_share<A> && is_share<B>;
  else
    return false;
}();

// Is every sum over the batch in E divided by such a number?
template <class E>
inline constexpr bool is_normalised = true;
template <class Op, class... Xs>
inline constexpr bool is_normalised<node<Op, Xs...>> = is_share<node<Op, Xs...>> ||
                                                       (!is_crossing<Op> && (is_normalised<Xs> && ...));

}  // namespace formula
}  // namespace gradwire::inline v0
