// SPDX-License-Identifier: Apache-2.0
// + - * / and comparisons over expressions. Every operation states its value and how tangents pass through it:
// `slope<A, B>(a, b, value, da, db)` is the derivative of the result, where A and B say which operands carry one.
#pragma once

#include <gradwire/expression/role.hpp>

namespace gradwire::inline v0 {

struct add_op {
  static constexpr bool linear = true;  // the slope reads no operand
  template <class V>
  [[gnu::always_inline]] static V value(V a, V b) noexcept {
    return a + b;
  }
  template <bool A, bool B, class V>
  [[gnu::always_inline]] static V slope(V, V, V, V da, V db) noexcept {
    if constexpr (A && B)
      return da + db;
    else if constexpr (A)
      return da;
    else
      return db;
  }
};

struct subtract_op {
  static constexpr bool linear = true;
  template <class V>
  [[gnu::always_inline]] static V value(V a, V b) noexcept {
    return a - b;
  }
  template <bool A, bool B, class V>
  [[gnu::always_inline]] static V slope(V, V, V, V da, V db) noexcept {
    if constexpr (A && B)
      return da - db;
    else if constexpr (A)
      return da;
    else
      return -db;
  }
};

struct role_difference_op : subtract_op {};

struct negate_op {
  static constexpr bool linear = true;
  template <class V>
  [[gnu::always_inline]] static V value(V a) noexcept {
    return -a;
  }
  template <bool, class V>
  [[gnu::always_inline]] static V slope(V, V, V da) noexcept {
    return -da;
  }
};

struct multiply_op {
  static constexpr bool bilinear = true;  // affine in one operand when the other is data
  template <class V>
  [[gnu::always_inline]] static V value(V a, V b) noexcept {
    return a * b;
  }
  template <bool A, bool B, class V>
  [[gnu::always_inline]] static V slope(V a, V b, V, V da, V db) noexcept {
    if constexpr (A && B)
      return da * b + a * db;
    else if constexpr (A)
      return da * b;
    else
      return a * db;
  }
};

struct divide_op {
  static constexpr bool bilinear = true;
  template <class V>
  [[gnu::always_inline]] static V value(V a, V b) noexcept {
    return a / b;
  }
  template <bool A, bool B, class V>
  [[gnu::always_inline]] static V slope(V, V b, V value, V da, V db) noexcept {
    if constexpr (A && B)
      return (da - value * db) / b;
    else if constexpr (A)
      return da / b;
    else
      return -(value * db) / b;
  }
};

// clang-format off
template <operand A, operand B> requires(expression<A> || expression<B>)
constexpr auto operator+(const A& a, const B& b) {
  return make_node<add_op>(a, b);
}
template <operand A, operand B> requires(expression<A> || expression<B>)
constexpr auto operator-(const A& a, const B& b) {
  using formula::role_of;
  formula::check_extents<expression_of<A>, expression_of<B>>();
  if constexpr (formula::belong_together(role_of<A>, role_of<B>))
    return make_node<subtract_op>(a, b);
  else
    return make_node<role_difference_op>(a, b);
}
template <operand A, operand B> requires(expression<A> || expression<B>)
constexpr auto operator*(const A& a, const B& b) {
  return make_node<multiply_op>(a, b);
}
template <operand A, operand B> requires(expression<A> || expression<B>)
constexpr auto operator/(const A& a, const B& b) {
  return make_node<divide_op>(a, b);
}
// clang-format on
template <expression A>
constexpr auto operator-(const A& a) {
  return make_node<negate_op>(a);
}
template <expression A>
constexpr auto operator+(const A& a) {
  return a;
}

// ---- comparisons and logic: truth values, without a slope -------------------------------------------------------

namespace formula {
template <class Derived>
struct comparison {
  using boolean = void;
  static constexpr bool detached = true;
};
}  // namespace formula

// clang-format off
struct less_op : formula::comparison<less_op> {
  template <class V> [[gnu::always_inline]] static auto value(V a, V b) noexcept { return a < b; }
};
struct less_equal_op : formula::comparison<less_equal_op> {
  template <class V> [[gnu::always_inline]] static auto value(V a, V b) noexcept { return a <= b; }
};
struct equal_op : formula::comparison<equal_op> {
  template <class V> [[gnu::always_inline]] static auto value(V a, V b) noexcept { return a == b; }
};
struct and_op : formula::comparison<and_op> {
  template <class M> [[gnu::always_inline]] static auto value(M a, M b) noexcept { return a & b; }
};
struct or_op : formula::comparison<or_op> {
  template <class M> [[gnu::always_inline]] static auto value(M a, M b) noexcept { return a | b; }
};
struct not_op : formula::comparison<not_op> {
  template <class M> [[gnu::always_inline]] static auto value(M a) noexcept { return !a; }
};

template <operand A, operand B> requires(expression<A> || expression<B>)
constexpr auto operator<(const A& a, const B& b) { return make_node<less_op>(a, b); }
template <operand A, operand B> requires(expression<A> || expression<B>)
constexpr auto operator>(const A& a, const B& b) { return make_node<less_op>(b, a); }
template <operand A, operand B> requires(expression<A> || expression<B>)
constexpr auto operator<=(const A& a, const B& b) { return make_node<less_equal_op>(a, b); }
template <operand A, operand B> requires(expression<A> || expression<B>)
constexpr auto operator>=(const A& a, const B& b) { return make_node<less_equal_op>(b, a); }
template <operand A, operand B> requires(expression<A> || expression<B>)
constexpr auto operator==(const A& a, const B& b) { return make_node<equal_op>(a, b); }
template <operand A, operand B> requires(expression<A> || expression<B>)
constexpr auto operator!=(const A& a, const B& b) { return node<not_op, decltype(a == b)>{a == b}; }

template <class E> concept truth = expression<E> && formula::is_boolean<std::remove_cvref_t<E>>;

template <truth A, truth B> constexpr auto operator&&(const A& a, const B& b) { return node<and_op, A, B>{a, b}; }
template <truth A, truth B> constexpr auto operator||(const A& a, const B& b) { return node<or_op, A, B>{a, b}; }
template <truth A> constexpr auto operator!(const A& a) { return node<not_op, A>{a}; }
// clang-format on

}  // namespace gradwire::inline v0
