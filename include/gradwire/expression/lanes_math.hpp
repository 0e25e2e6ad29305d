// SPDX-License-Identifier: Apache-2.0
// The functions of the loss language on a block of numbers: everything of lanes_*.hpp, and what is made of exp and log.
#pragma once

#include <gradwire/expression/lanes_accumulator.hpp>
#include <gradwire/expression/lanes_elementary.hpp>
#include <gradwire/expression/lanes_exp.hpp>
#include <gradwire/expression/lanes_log.hpp>

namespace gradwire::inline v0 {

// 1 / (1 + exp(-x)), relatively exact also far below 0.
template <class T, class Isa>
GRADWIRE_LANES_INLINE lanes<T, Isa> sigmoid(lanes<T, Isa> x) noexcept {
  using L = lanes<T, Isa>;
  const L e = exp(-abs(x)), one = L::broadcast(1);
  return select(x < L::zero(), e, one) / (one + e);
}

// log(sigmoid(x)); its slope is sigmoid(-x).
template <class T, class Isa>
GRADWIRE_LANES_INLINE lanes<T, Isa> log_sigmoid(lanes<T, Isa> x) noexcept {
  return min(x, lanes<T, Isa>::zero()) - log1p(exp(-abs(x)));
}

// log(1 - exp(x)) for x <= 0, the log of the probability that is left: -infinity at 0, NaN above. Near 0 by expm1,
// beyond -ln 2 by log1p (M. Mächler, "Accurately computing log(1 - exp(-|a|))"). Its slope is -exp(x) / (1 - exp(x)).
template <class T, class Isa>
GRADWIRE_LANES_INLINE lanes<T, Isa> log1mexp(lanes<T, Isa> x) noexcept {
  using L = lanes<T, Isa>;
  const L near = log(-expm1(x)), far = log1p(-exp(x));
  return select(x > L::broadcast(T(-0.693147180559945309)), near, far);
}

}  // namespace gradwire::inline v0
