// SPDX-License-Identifier: Apache-2.0
// The formula as a type. An expression is a field (a column, empty), a `constant` (a number known at run time) or a
// `node` (an operation over expressions, held by value, so that `auto ratio = …` is safe to keep and to return).
// There is no common base class: two empty bases of one type cannot share an address, and the tree would grow.
#pragma once

#include <gradwire/datum/extent.hpp>
#include <gradwire/datum/fixed_string.hpp>
#include <type_traits>

namespace gradwire::inline v0 {

template <class E>
concept expression = requires {
  typename std::remove_cvref_t<E>::expression_tag;
};

template <class T>
concept number = std::is_arithmetic_v<std::remove_cvref_t<T>>;

template <class T>
concept operand = expression<T> || number<T>;

// A number of the formula: a parameter of the loss. It broadcasts to every extent.
struct constant {
  using expression_tag = void;
  static constexpr extent level = extent::batch;
  double value = 0;
};

namespace formula {

constexpr extent finest(extent first) { return first; }
template <class... Rest>
constexpr extent finest(extent first, Rest... rest) {
  const extent other = finest(rest...);
  return first < other ? first : other;
}

// An operation may fix the extent of its result (reductions do); otherwise it is the finest of its operands.
template <class Op, class... Xs>
constexpr extent level_of() {
  if constexpr (requires { Op::output; })
    return Op::output;
  else
    return finest(Xs::level...);
}

}  // namespace formula

template <class Op, class... Xs>
struct node;

template <class Op, class A>
struct node<Op, A> {
  using expression_tag = void;
  static constexpr extent level = formula::level_of<Op, A>();
  [[no_unique_address]] A a;
};

template <class Op, class A, class B>
struct node<Op, A, B> {
  using expression_tag = void;
  static constexpr extent level = formula::level_of<Op, A, B>();
  [[no_unique_address]] A a;
  [[no_unique_address]] B b;
};

template <class Op, class A, class B, class C>
struct node<Op, A, B, C> {
  using expression_tag = void;
  static constexpr extent level = formula::level_of<Op, A, B, C>();
  [[no_unique_address]] A a;
  [[no_unique_address]] B b;
  [[no_unique_address]] C c;
};

namespace formula {

// A comparison yields a truth value; arithmetic over it counts it as 1 or 0.
template <class E>
inline constexpr bool is_boolean = false;
template <class Op, class... Xs>
requires requires { typename Op::boolean; }
inline constexpr bool is_boolean<node<Op, Xs...>> = true;
template <class Op, class X>
requires requires { requires Op::keeps_truth; }
inline constexpr bool is_boolean<node<Op, X>> = is_boolean<X>;  // a let, stop_gradient

}  // namespace formula

// A truth value as the number 1 or 0.
struct as_number_op {
  template <class V, class M>
  [[gnu::always_inline]] static V value(const M& truth) noexcept {
    return select_or_zero(truth, V::broadcast(1));
  }
  static constexpr bool detached = true;
};

struct role_difference_op;  // a - b of logprobs whose roles do not belong together (operators.hpp)
namespace formula {
template <class E>
inline constexpr bool is_role_difference = false;
template <class A, class B>
inline constexpr bool is_role_difference<node<role_difference_op, A, B>> = true;
}  // namespace formula

// What an operand of arithmetic becomes inside the tree.
template <operand E>
constexpr auto as_expression(const E& e) {
  static_assert(
      !formula::is_role_difference<E>,
      "gradwire: a difference of logprobs whose roles do not belong together; these do: current - old, sampler, "
      "reference or teacher, old - sampler, teacher - sampler, sampler - reference. State another role with "
      "as_role<role::...>(x), or write allow<lint::role_difference>(a - b)");
  if constexpr (number<E>)
    return constant{static_cast<double>(e)};
  else if constexpr (formula::is_boolean<E>)
    return node<as_number_op, E>{e};
  else
    return e;
}

template <operand E>
using expression_of = decltype(as_expression(std::declval<const E&>()));

template <class Op, operand... Es>
constexpr auto make_node(const Es&... es) {
  return node<Op, expression_of<Es>...>{as_expression(es)...};
}

}  // namespace gradwire::inline v0
