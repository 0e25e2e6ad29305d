// SPDX-License-Identifier: Apache-2.0
// Thresholds of a ratio, typed so that a value written for one system cannot pass for another's: some state how far the
// ratio may leave 1 (`offset{0.2}`: 0.8 … 1.2), others the threshold itself (`bound{1.2}`). Neither converts to the
// other.
#pragma once

#include <concepts>

namespace gradwire::inline v0 {

struct offset;
struct bound;

// The constructor templates are what the compiler reaches when one is given for the other, or a bare number for either.
struct offset {
  double value = 0;  // distance from 1, dimensionless

  constexpr offset() = default;
  explicit constexpr offset(double distance) : value(distance) {}
  template <std::same_as<bound> Other>
  constexpr offset(Other) {
    static_assert(!std::same_as<Other, bound>,
                  "gradwire: a bound (the ratio itself) is given where an offset (the distance from 1) is expected: "
                  "bound{1.2} is offset{0.2} above 1");
  }
  template <std::same_as<double> Number>
  constexpr offset(Number) {
    static_assert(
        !std::same_as<Number, double>,
        "gradwire: a bare number is given where an offset (the distance of a ratio from 1) is expected: write "
        "offset{0.2} for 1 - 0.2 or 1 + 0.2");
  }
};

struct bound {
  double value = 0;  // the ratio itself, dimensionless

  constexpr bound() = default;
  explicit constexpr bound(double threshold) : value(threshold) {}
  template <std::same_as<offset> Other>
  constexpr bound(Other) {
    static_assert(!std::same_as<Other, offset>,
                  "gradwire: an offset (the distance from 1) is given where a bound (the ratio itself) is expected: "
                  "offset{0.2} above 1 is bound{1.2}");
  }
  template <std::same_as<double> Number>
  constexpr bound(Number) {
    static_assert(!std::same_as<Number, double>,
                  "gradwire: a bare number is given where a bound (the ratio itself) is expected: write bound{1.2}");
  }
};

inline constexpr bound unbounded{__builtin_huge_val()};  // no threshold above

constexpr double low(offset distance) { return 1 - distance.value; }
constexpr double high(offset distance) { return 1 + distance.value; }
constexpr double low(bound threshold) { return threshold.value; }
constexpr double high(bound threshold) { return threshold.value; }

}  // namespace gradwire::inline v0
