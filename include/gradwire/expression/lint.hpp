// SPDX-License-Identifier: Apache-2.0
// Named exceptions. The compiler refuses what is nearly always a mistake; where it is meant, it says so at the place:
// allow<lint::k1_as_loss>(k1(logprobs, ref_logprobs)). It changes no number.
#pragma once

#include <gradwire/expression/operators.hpp>

namespace gradwire::inline v0 {

enum class lint : unsigned char {
  k1_as_loss,      // the estimator k1 in the loss: its gradient ignores the reference
  no_gradient,     // a term of the loss that moves its value and nothing else
  role_difference  // a difference of logprobs whose roles do not belong together
};

template <lint Lint>
struct allow_op {
  static constexpr lint allowed = Lint;
  static constexpr bool linear = true, keeps_role = Lint != lint::role_difference;
  template <class V>
  [[gnu::always_inline]] static V value(V x) noexcept {
    return x;
  }
  template <bool, class V>
  [[gnu::always_inline]] static V slope(V, V, V dx) noexcept {
    return dx;
  }
};

namespace formula {

template <class X>
constexpr const X& with_roles_allowed(const X& x) {
  return x;
}
template <class A, class B>
constexpr node<subtract_op, A, B> with_roles_allowed(const node<role_difference_op, A, B>& x) {
  return {x.a, x.b};
}

}  // namespace formula

template <lint Lint, expression X>
constexpr auto allow(const X& x) {
  if constexpr (Lint == lint::role_difference)
    return make_node<allow_op<Lint>>(formula::with_roles_allowed(x));
  else
    return make_node<allow_op<Lint>>(x);
}

}  // namespace gradwire::inline v0
