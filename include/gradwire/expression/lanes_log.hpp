// SPDX-License-Identifier: Apache-2.0
// log and log1p of a block to 1.5 ulp over the whole range: log(0) = -infinity, log(x < 0) = NaN, subnormals right.
#pragma once

#include <gradwire/expression/lanes_constants.hpp>
#include <gradwire/expression/lanes_elementary.hpp>

namespace gradwire::inline v0 {

namespace detail {

template <class T, class V>
GRADWIRE_LANES_INLINE V log_polynomial(V z) noexcept {
  constexpr auto& c = constants<T>::log;
  const V z2 = z * z;
  if constexpr (sizeof(T) == 4)
    return z * ((c[0] + c[1] * z) + z2 * (c[2] + c[3] * z));
  else
    return z * ((c[0] + c[1] * z) + z2 * ((c[2] + c[3] * z) + z2 * ((c[4] + c[5] * z) + z2 * c[6])));
}

// u = 2^k (1 + f) with 1 + f in [sqrt 1/2, sqrt 2), for normal positive u.
template <class V>
struct logarithm_parts {
  V k, f;
};
template <class T, class Isa, class V>
GRADWIRE_LANES_INLINE logarithm_parts<V> split_exponent(V u) noexcept {
  using d = vectors<T, Isa>;
  using format = floating<T>;
  using bits = typename d::bits;
  constexpr auto half_bits = __builtin_bit_cast(typename format::bits, constants<T>::sqrt_half);
  constexpr auto fraction = (typename format::bits{1} << format::fraction_bits) - 1;
  const bits moved = d::bits_of(u) - half_bits + (format::bias << format::fraction_bits);
  const V mantissa = d::number_of((moved & fraction) + half_bits);
  // k + bias as the lowest bits of 2^52, from which the floating-point subtraction takes both away again
  const V biased = d::number_of((moved >> format::fraction_bits) | d::bits_of(d::all(format::integers_from)));
  return {biased - (format::integers_from + static_cast<T>(format::bias)), mantissa - T(1)};
}

// k ln 2 + log(1 + f) + correction
template <class T, class V>
GRADWIRE_LANES_INLINE V log_of_parts(V k, V f, V correction) noexcept {
  using c = constants<T>;
  const V s = f / (T(2) + f), half_square = T(0.5) * f * f, r = log_polynomial<T>(s * s);
  return k * c::ln2_high - ((half_square - (s * (half_square + r) + (k * c::ln2_low + correction))) - f);
}

// `result` where x is finite and above `zero`; -infinity at it, NaN below; x itself where that is +infinity or NaN.
template <class T, class V>
GRADWIRE_LANES_INLINE V with_edges(V result, V x, T zero) noexcept {
  const V infinity = static_cast<T>(__builtin_huge_val()) - V{}, nan = static_cast<T>(__builtin_nan("")) - V{};
  const V finite = x < infinity ? result : x;
  const V positive = x == zero ? -infinity : finite;
  return x < zero ? nan : positive;
}

}  // namespace detail

template <class T, class Isa>
GRADWIRE_LANES_INLINE lanes<T, Isa> log(lanes<T, Isa> x) noexcept {
  using format = detail::floating<T>;
  using V = typename lanes<T, Isa>::vector_type;
  const auto subnormal = x.v < format::smallest_normal;
  const V u = subnormal ? x.v * (format::integers_from * 4) : x.v;
  const auto part = detail::split_exponent<T, Isa>(u);
  const V k = subnormal ? part.k - T(format::fraction_bits + 2) : part.k;
  return {detail::with_edges<T>(detail::log_of_parts<T>(k, part.f, V{}), x.v, T(0))};
}

// 1 + x is rounded to u and what it lost, divided by u, added back; where u stays near 1, x itself is f.
template <class T, class Isa>
GRADWIRE_LANES_INLINE lanes<T, Isa> log1p(lanes<T, Isa> x) noexcept {
  using L = lanes<T, Isa>;
  using V = typename L::vector_type;
  const L one = L::broadcast(1), larger = max(x, one), smaller = min(x, one), u = larger + smaller;
  const auto part = detail::split_exponent<T, Isa>(u.v);
  const auto near = part.k == T(0);
  const V f = near ? x.v : part.f, correction = near ? V{} : ((smaller - (u - larger)) / u).v;
  const V result = detail::with_edges<T>(detail::log_of_parts<T>(part.k, f, correction), x.v, T(-1));
  constexpr T tiny = sizeof(T) == 8 ? T(0x1p-54) : T(0x1p-25);  // log1p(x) is x here; keeps -0 and subnormals
  return {abs(x).v < tiny ? x.v : result};
}

}  // namespace gradwire::inline v0
