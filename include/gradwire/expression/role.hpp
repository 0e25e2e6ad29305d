// SPDX-License-Identifier: Apache-2.0
// Whose logprobs an expression holds, and which differences are log-ratios: current − old, sampler, reference or
// teacher, old − sampler, teacher − sampler, sampler − reference, and one role with itself. A role survives let,
// stop_gradient and sums and means over tokens and sequences; as_role<role::old>(x) states another. A difference of
// others is refused where it is used next, so that allow<lint::role_difference>(a - b) can lift it; so can allow around
// an operand.
#pragma once

#include <gradwire/datum/role.hpp>
#include <gradwire/expression/expression.hpp>

namespace gradwire::inline v0 {

template <role Role>
struct as_role_op {
  static constexpr role sets_role = Role;
  static constexpr bool linear = true;
  template <class V>
  [[gnu::always_inline]] static V value(V x) noexcept {
    return x;
  }
  template <bool, class V>
  [[gnu::always_inline]] static V slope(V, V, V dx) noexcept {
    return dx;
  }
};
template <role Role, expression X>
constexpr auto as_role(const X& x) {
  return make_node<as_role_op<Role>>(x);
}

namespace formula {

template <class E>
inline constexpr role role_of = role::none;
template <class E>
requires requires { E::column_role; }
inline constexpr role role_of<E> = E::column_role < role::learned ? E::column_role : role::none;
template <class Op, class X, class... Rest>
constexpr role role_of_node() {
  if constexpr (requires { Op::sets_role; })
    return Op::sets_role;
  else if constexpr (requires { requires Op::keeps_role; })
    return ((role_of<Rest> == role::none) && ...) ? role_of<X> : role::none;
  else
    return role::none;
}
template <class Op, class X, class... Rest>
inline constexpr role role_of<node<Op, X, Rest...>> = role_of_node<Op, X, Rest...>();

constexpr bool belong_together(role a, role b) {
  if (a == role::none || b == role::none || a == b || a == role::current) return true;
  return ((a == role::old || a == role::teacher) && b == role::sampler) || (a == role::sampler && b == role::reference);
}

// Logprobs per candidate and per token are of different tokens, unless they were reduced to the same extent.
constexpr bool extents_join(role a, extent x, role b, extent y) {
  return a == role::none || b == role::none || (x == extent::candidate) == (y == extent::candidate);
}

template <class A, class B>
constexpr void check_extents() {
  static_assert(extents_join(role_of<A>, A::level, role_of<B>, B::level),
                "gradwire: two extents that do not join: logprobs per candidate minus logprobs per token are of "
                "different tokens; take both per candidate, or reduce the one with sum_over_candidates(...) first");
}

}  // namespace formula
}  // namespace gradwire::inline v0
