// SPDX-License-Identifier: Apache-2.0
// The names of lanes_math.hpp for one double: what programs above the token level (a sequence's ratio, a pair's margin)
// call. They live in `detail` because `gradwire::exp(double)` beside <cmath> would make a user's `exp(1.0)` ambiguous
// after `using namespace gradwire`; they are always inlined so that files built for different targets share no symbol.
#pragma once

#include <gradwire/expression/lanes_exp.hpp>

namespace gradwire::inline v0 {
namespace detail {

struct scalar_k3_pair {
  double value, expm1;
};

GRADWIRE_LANES_INLINE double exp(double x) { return __builtin_exp(x); }
GRADWIRE_LANES_INLINE double expm1(double x) { return __builtin_expm1(x); }
GRADWIRE_LANES_INLINE double log(double x) { return __builtin_log(x); }
GRADWIRE_LANES_INLINE double log1p(double x) { return __builtin_log1p(x); }
GRADWIRE_LANES_INLINE double sqrt(double x) { return __builtin_sqrt(x); }
GRADWIRE_LANES_INLINE double abs(double x) { return __builtin_fabs(x); }
GRADWIRE_LANES_INLINE double floor(double x) { return __builtin_floor(x); }

// Ties and NaN give the second operand, as for lanes.
GRADWIRE_LANES_INLINE double min(double a, double b) { return a < b ? a : b; }
GRADWIRE_LANES_INLINE double max(double a, double b) { return a > b ? a : b; }
GRADWIRE_LANES_INLINE double clamp(double x, double low, double high) { return min(high, max(low, x)); }
GRADWIRE_LANES_INLINE double select(bool condition, double if_true, double if_false) {
  return condition ? if_true : if_false;
}
GRADWIRE_LANES_INLINE double select_or_zero(bool condition, double if_true) { return condition ? if_true : 0; }

GRADWIRE_LANES_INLINE double sigmoid(double x) {
  const double e = __builtin_exp(-__builtin_fabs(x));
  return (x < 0 ? e : 1) / (1 + e);
}
GRADWIRE_LANES_INLINE double log_sigmoid(double x) {
  return min(x, 0.0) - __builtin_log1p(__builtin_exp(-__builtin_fabs(x)));
}
GRADWIRE_LANES_INLINE double log1mexp(double x) {
  return x > -0.693147180559945309 ? __builtin_log(-__builtin_expm1(x)) : __builtin_log1p(-__builtin_exp(x));
}
// Not exp(d) - d - 1, which cancels: the accurate kernel on a block of one value.
GRADWIRE_LANES_INLINE scalar_k3_pair k3_with_slope(double difference) {
  const auto pair = v0::k3_with_slope(lanes<double, isa_baseline>::broadcast(difference));
  return {pair.value[0], pair.expm1[0]};
}

}  // namespace detail
}  // namespace gradwire::inline v0
