// SPDX-License-Identifier: Apache-2.0
// One number with the interface of `lanes`: what formulas of one value a sequence, a group or the batch are evaluated
// with, always in double. The instruction set is part of its type for the reason given in lanes.hpp.
#pragma once

#include <gradwire/expression/scalar_math.hpp>

namespace gradwire::inline v0 {

template <class Isa>
struct scalar {
  using value_type = double;
  using mask_type = bool;
  double v = 0;

  static constexpr scalar broadcast(double x) { return {x}; }
  friend constexpr scalar operator+(scalar a, scalar b) { return {a.v + b.v}; }
  friend constexpr scalar operator-(scalar a, scalar b) { return {a.v - b.v}; }
  friend constexpr scalar operator*(scalar a, scalar b) { return {a.v * b.v}; }
  friend constexpr scalar operator/(scalar a, scalar b) { return {a.v / b.v}; }
  friend constexpr scalar operator-(scalar a) { return {-a.v}; }
  friend constexpr bool operator<(scalar a, scalar b) { return a.v < b.v; }
  friend constexpr bool operator<=(scalar a, scalar b) { return a.v <= b.v; }
  friend constexpr bool operator>(scalar a, scalar b) { return a.v > b.v; }
  friend constexpr bool operator>=(scalar a, scalar b) { return a.v >= b.v; }
  friend constexpr bool operator==(scalar a, scalar b) { return a.v == b.v; }
  friend constexpr bool operator!=(scalar a, scalar b) { return a.v != b.v; }
  friend constexpr scalar select(bool c, scalar a, scalar b) { return c ? a : b; }
  friend constexpr scalar select_or_zero(bool c, scalar a) { return c ? a : scalar{}; }
  friend constexpr scalar clamp(scalar x, scalar low, scalar high) {  // the upper bound wins, as for lanes; NaN stays
    const scalar raised = low > x ? low : x;
    return high < raised ? high : raised;
  }
  friend scalar abs(scalar x) { return {detail::abs(x.v)}; }
  friend scalar floor(scalar x) { return {detail::floor(x.v)}; }
  friend scalar sqrt(scalar x) { return {detail::sqrt(x.v)}; }
  friend scalar exp(scalar x) { return {detail::exp(x.v)}; }
  friend scalar expm1(scalar x) { return {detail::expm1(x.v)}; }
  friend scalar log(scalar x) { return {detail::log(x.v)}; }
  friend scalar log1p(scalar x) { return {detail::log1p(x.v)}; }
  friend scalar sigmoid(scalar x) { return {detail::sigmoid(x.v)}; }
  friend scalar log_sigmoid(scalar x) { return {detail::log_sigmoid(x.v)}; }
  friend scalar log1mexp(scalar x) { return {detail::log1mexp(x.v)}; }
  struct k3_pair {
    scalar value, expm1;
  };
  friend k3_pair k3_with_slope(scalar d) {
    const auto pair = detail::k3_with_slope(d.v);
    return {{pair.value}, {pair.expm1}};
  }
};

}  // namespace gradwire::inline v0
