// SPDX-License-Identifier: Apache-2.0
// Functions over expressions. One struct with value and slope each; a user's own function is the same:
//
//   struct softplus_op { template <class V> static V value(V x) { return …; }
//                        template <class V> static V derivative(V x, V value) { return …; } };
//   inline constexpr function<softplus_op> softplus{};
#pragma once

#include <gradwire/expression/operators.hpp>

namespace gradwire::inline v0 {

// clang-format off
template <class Op>
struct function {
  template <operand... Es> requires(expression<Es> || ...)
  constexpr auto operator()(const Es&... es) const { return make_node<Op>(es...); }
};

struct exp_op {
  template <class V> [[gnu::always_inline]] static V value(V x) noexcept { return exp(x); }
  template <class V> [[gnu::always_inline]] static V derivative(V, V value) noexcept { return value; }
};
struct expm1_op {
  template <class V> [[gnu::always_inline]] static V value(V x) noexcept { return expm1(x); }
  // Not value + 1, of which nothing is left below -37: there the slope would be 0.
  template <class V> [[gnu::always_inline]] static V derivative(V x, V) noexcept { return exp(x); }
};
struct log_op {
  template <class V> [[gnu::always_inline]] static V value(V x) noexcept { return log(x); }
  template <class V> [[gnu::always_inline]] static V derivative(V x, V) noexcept { return V::broadcast(1) / x; }
};
struct log1p_op {
  template <class V> [[gnu::always_inline]] static V value(V x) noexcept { return log1p(x); }
  template <class V> [[gnu::always_inline]] static V derivative(V x, V) noexcept { return V::broadcast(1) / (V::broadcast(1) + x); }
};
struct sqrt_op {
  template <class V> [[gnu::always_inline]] static V value(V x) noexcept { return sqrt(x); }
  template <class V> [[gnu::always_inline]] static V derivative(V, V value) noexcept { return V::broadcast(.5) / value; }
};
struct abs_op {  // slope 0 at 0
  template <class V> [[gnu::always_inline]] static V value(V x) noexcept { return abs(x); }
  template <class V> [[gnu::always_inline]] static V derivative(V x, V) noexcept {
    const V zero = V::broadcast(0), one = V::broadcast(1);
    return select_or_zero(x > zero, one) - select_or_zero(x < zero, one);
  }
};
struct floor_op {
  static constexpr bool detached = true;
  template <class V> [[gnu::always_inline]] static V value(V x) noexcept { return floor(x); }
};
struct square_op {
  template <class V> [[gnu::always_inline]] static V value(V x) noexcept { return x * x; }
  template <class V> [[gnu::always_inline]] static V derivative(V x, V) noexcept { return x + x; }
};
struct sigmoid_op {
  template <class V> [[gnu::always_inline]] static V value(V x) noexcept { return sigmoid(x); }
  template <class V> [[gnu::always_inline]] static V derivative(V x, V value) noexcept { return value * sigmoid(-x); }
};
struct log_sigmoid_op {  // log(1 / (1 + e^-x)); its slope is sigmoid(-x)
  template <class V> [[gnu::always_inline]] static V value(V x) noexcept { return log_sigmoid(x); }
  template <class V> [[gnu::always_inline]] static V derivative(V x, V) noexcept { return sigmoid(-x); }
};
struct log1mexp_op {  // log(1 - e^x) for x < 0; its slope is -e^x / (1 - e^x) = 1 / expm1(-x) · (-1)
  template <class V> [[gnu::always_inline]] static V value(V x) noexcept { return log1mexp(x); }
  template <class V> [[gnu::always_inline]] static V derivative(V x, V) noexcept { return V::broadcast(-1) / expm1(-x); }
};
struct k3_op {  // e^d - d - 1, accurate near d = 0; value and slope e^d - 1 share one range reduction
  template <class V> [[gnu::always_inline]] static V value(V d) noexcept { return k3_with_slope(d).value; }
  template <class V> [[gnu::always_inline]] static auto value_and_derivative(V d) noexcept {
    const auto pair = k3_with_slope(d);
    struct { V value, derivative; } both{pair.value, pair.expm1};
    return both;
  }
};

struct minimum_op {  // a tie goes to the first operand, and so does its slope; NaN in the first operand stays
  template <class V> [[gnu::always_inline]] static V value(V a, V b) noexcept { return select(b < a, b, a); }
  template <bool A, bool B, class V> [[gnu::always_inline]] static V slope(V a, V b, V, V da, V db) noexcept {
    if constexpr (A && B) return select(b < a, db, da);
    else if constexpr (A) return select_or_zero(!(b < a), da);
    else return select_or_zero(b < a, db);
  }
};
struct maximum_op {
  template <class V> [[gnu::always_inline]] static V value(V a, V b) noexcept { return select(b > a, b, a); }
  template <bool A, bool B, class V> [[gnu::always_inline]] static V slope(V a, V b, V, V da, V db) noexcept {
    if constexpr (A && B) return select(b > a, db, da);
    else if constexpr (A) return select_or_zero(!(b > a), da);
    else return select_or_zero(b > a, db);
  }
};
struct clamp_op {  // slope 1 inside and at the bounds, 0 outside (as torch.clamp); bounds are parameters or data
  template <class V> [[gnu::always_inline]] static V value(V x, V low, V high) noexcept { return clamp(x, low, high); }
  template <bool A, bool B, bool C, class V> [[gnu::always_inline]] static V slope(V x, V low, V high, V, V dx, V dlow, V dhigh) noexcept {
    if constexpr (A && !B && !C) {
      return select_or_zero((x >= low) & (x <= high), dx);
    } else {
      V d = V::broadcast(0);
      if constexpr (A) d = select_or_zero((x >= low) & (x <= high), dx);
      if constexpr (B) d = select(x < low, dlow, d);
      if constexpr (C) d = select(x > high, dhigh, d);
      return d;
    }
  }
};
struct where_op {
  template <class M, class V> [[gnu::always_inline]] static V value(M c, V a, V b) noexcept { return select(c, a, b); }
  template <bool, bool A, bool B, class M, class V> [[gnu::always_inline]] static V slope(M c, V, V, V, V, V da, V db) noexcept {
    if constexpr (A && B) return select(c, da, db);
    else if constexpr (A) return select_or_zero(c, da);
    else return select_or_zero(!c, db);
  }
};
// a / b, and 0 where b is 0: the mean over nothing contributes nothing.
struct divide_or_zero_op {
  static constexpr bool bilinear = true, keeps_role = true;
  template <class V> [[gnu::always_inline]] static V value(V a, V b) noexcept { return select_or_zero(b != V::broadcast(0), a / b); }
  template <bool A, bool B, class V> [[gnu::always_inline]] static V slope(V, V b, V value, V da, V db) noexcept {
    V d = V::broadcast(0);
    if constexpr (A) d = da / b;
    if constexpr (B) d = d - value * db / b;
    return select_or_zero(b != V::broadcast(0), d);
  }
};
struct stop_gradient_op {
  static constexpr bool detached = true, keeps_role = true, keeps_truth = true;
  template <class V> [[gnu::always_inline]] static V value(V x) noexcept { return x; }
};
struct straight_through_op {  // the value of the first operand, the slope of the second
  template <class V> [[gnu::always_inline]] static V value(V a, V) noexcept { return a; }
  static constexpr bool slope_of_second = true;
  template <bool, bool, class V> [[gnu::always_inline]] static V slope(V, V, V, V, V db) noexcept { return db; }
};
struct k1_op {  // policy - reference, marked: in a loss its gradient ignores the reference
  static constexpr bool linear = true;
  template <class V> [[gnu::always_inline]] static V value(V d) noexcept { return d; }
  template <bool, class V> [[gnu::always_inline]] static V slope(V, V, V dd) noexcept { return dd; }
};
template <fixed_string Name>
struct let_op {
  static constexpr auto name = Name;
  static constexpr bool linear = true, keeps_role = true, keeps_truth = true;
  template <class V> [[gnu::always_inline]] static V value(V x) noexcept { return x; }
  template <bool, class V> [[gnu::always_inline]] static V slope(V, V, V dx) noexcept { return dx; }
};

template <expression X> constexpr auto exp(const X& x) { return make_node<exp_op>(x); }
template <expression X> constexpr auto expm1(const X& x) { return make_node<expm1_op>(x); }
template <expression X> constexpr auto log(const X& x) { return make_node<log_op>(x); }
template <expression X> constexpr auto log1p(const X& x) { return make_node<log1p_op>(x); }
template <expression X> constexpr auto sqrt(const X& x) { return make_node<sqrt_op>(x); }
template <expression X> constexpr auto abs(const X& x) { return make_node<abs_op>(x); }
template <expression X> constexpr auto floor(const X& x) { return make_node<floor_op>(x); }
template <expression X> constexpr auto square(const X& x) { return make_node<square_op>(x); }
template <expression X> constexpr auto sigmoid(const X& x) { return make_node<sigmoid_op>(x); }
template <expression X> constexpr auto log_sigmoid(const X& x) { return make_node<log_sigmoid_op>(x); }
template <expression X> constexpr auto log1mexp(const X& x) { return make_node<log1mexp_op>(x); }

template <operand A, operand B> requires(expression<A> || expression<B>)
constexpr auto min(const A& a, const B& b) { return make_node<minimum_op>(a, b); }
template <operand A, operand B> requires(expression<A> || expression<B>)
constexpr auto max(const A& a, const B& b) { return make_node<maximum_op>(a, b); }
template <operand X, operand L, operand H> requires(expression<X> || expression<L> || expression<H>)
constexpr auto clamp(const X& x, const L& low, const H& high) { return make_node<clamp_op>(x, low, high); }
template <truth C, operand A, operand B>
constexpr auto where(const C& c, const A& a, const B& b) {
  return node<where_op, C, expression_of<A>, expression_of<B>>{c, as_expression(a), as_expression(b)};
}
template <operand C, operand A, operand B> requires(!truth<C> && (expression<C> || expression<A> || expression<B>))
constexpr auto where(const C&, const A& a, const B& b) {
  static_assert(truth<C>, "gradwire: where(condition, a, b) takes a condition, not a number; of a column of 0 and 1 write where(x > 0, a, b)");
  return make_node<maximum_op>(a, b);
}
template <operand A, operand B> requires(expression<A> || expression<B>)
constexpr auto divide_or_zero(const A& a, const B& b) { return make_node<divide_or_zero_op>(a, b); }

// The value, without a gradient.
template <expression X> constexpr auto stop_gradient(const X& x) {
  if constexpr (truth<X>) return node<stop_gradient_op, X>{x};
  else return make_node<stop_gradient_op>(x);
}

// let<"ratio">(x): x under a name, evaluated once; a condition stays one.
template <fixed_string Name, expression X>
constexpr auto let(const X& x) {
  if constexpr (truth<X>) return node<let_op<Name>, X>{x};
  else return make_node<let_op<Name>>(x);
}

// value_of(x).gradient_of(y): straight-through estimators.
template <class X> struct value_of_t {
  X x;
  template <expression Y> constexpr auto gradient_of(const Y& y) const { return make_node<straight_through_op>(x, y); }
};
template <expression X> constexpr auto value_of(const X& x) { return value_of_t<X>{x}; }

// Estimators of KL(policy || reference) per token, in nats, from samples of the policy; d = logprobs - reference.
//   k1 = d                 unbiased value; as a loss its gradient ignores the reference: allow<lint::k1_as_loss>
//   k2 = d²/2              its gradient is that of the reverse KL on-policy
//   k3 = e^(-d) + d - 1    never negative, low variance; accurate near d = 0           source: Schulman, "Approximating KL"
template <expression P, expression R> constexpr auto k1(const P& policy, const R& reference) { return make_node<k1_op>(policy - reference); }
template <expression P, expression R> constexpr auto k2(const P& policy, const R& reference) { return 0.5 * square(policy - reference); }
template <expression P, expression R> constexpr auto k3(const P& policy, const R& reference) {
  using difference [[maybe_unused]] = expression_of<decltype(policy - reference)>;  // the roles are checked this way round
  return make_node<k3_op>(node<subtract_op, R, P>{reference, policy});
}
// clang-format on

}  // namespace gradwire::inline v0
