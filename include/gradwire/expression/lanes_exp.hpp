// SPDX-License-Identifier: Apache-2.0
// exp and expm1 of a block to 1.5 ulp over the whole range (infinities, NaN, gradual underflow and overflow right), and
// k3 = exp(d) - d - 1 to 4 ulp for every d together with its slope, from one range reduction.
//
// x = k ln 2 + r with a two-part ln 2; exp(x) = 2^k (1 + r + r^2 P(r)). Nothing rests on a fused multiply-add or on its
// absence: what must be exact (k times the high part of ln 2, sums of neighbours) is exact either way.
#pragma once

#include <gradwire/expression/lanes_constants.hpp>
#include <gradwire/expression/lanes_elementary.hpp>

namespace gradwire::inline v0 {

// d = reference - logprob: the value exp(d) - d - 1, and expm1(d), which is its slope with respect to d.
template <class T, class Isa>
struct k3_pair {
  lanes<T, Isa> value, expm1;
};

namespace detail {

template <class T, class Isa>
GRADWIRE_LANES_INLINE void count_exponential() noexcept {
  if constexpr (requires { Isa::on_exponential(); }) Isa::on_exponential();
}

// P(r), the polynomial of exp; by pairs (Estrin), so that the multiplications do not wait for each other.
template <class T, class V>
GRADWIRE_LANES_INLINE V exp_polynomial(V r, V r2) noexcept {
  constexpr auto& c = constants<T>::exp;
  if constexpr (sizeof(T) == 4) {
    return (c[0] + c[1] * r) + r2 * ((c[2] + c[3] * r) + r2 * c[4]);
  } else {
    const V r4 = r2 * r2;
    return ((c[0] + c[1] * r) + r2 * (c[2] + c[3] * r)) +
           r4 * (((c[4] + c[5] * r) + r2 * (c[6] + c[7] * r)) + r4 * (c[8] + c[9] * r));
  }
}

// exp(r) - 1 - r - low: r^2/2 stands alone, so that what is rounded before the last step is small beside it.
template <class T, class V>
GRADWIRE_LANES_INLINE V k3_tail(V r, V low) noexcept {
  constexpr auto& c = constants<T>::k3;
  const V r2 = r * r, r4 = r2 * r2;
  V q;
  if constexpr (sizeof(T) == 4)
    q = (c[1] + c[2] * r) + r2 * (c[3] + c[4] * r) + r4 * c[5];
  else
    q = ((c[1] + c[2] * r) + r2 * (c[3] + c[4] * r)) +
        r4 * (((c[5] + c[6] * r) + r2 * (c[7] + c[8] * r)) + r4 * (c[9] + c[10] * r));
  return (T(0.5) * r2 - low) + (r2 * r) * q;
}

// y 2^k with gradual underflow and overflow; `shifted` holds k in its lowest bits, and x < 0 says its sign. 2^k alone
// need not be a number, 2^(k + 64) or 2^(k - 64) is: the second factor rounds once, where the result is subnormal.
template <class T, class Isa, class V>
GRADWIRE_LANES_INLINE V scaled(V y, [[maybe_unused]] V k, [[maybe_unused]] V shifted, [[maybe_unused]] V x) noexcept {
#if defined(__AVX512F__)
  if constexpr (Isa::bytes == 64 && sizeof(T) == 8) return __builtin_ia32_scalefpd512_mask(y, k, y, -1, 4);
  if constexpr (Isa::bytes == 64 && sizeof(T) == 4) return __builtin_ia32_scalefps512_mask(y, k, y, -1, 4);
#endif
  using d = vectors<T, Isa>;
  using bits = typename d::bits;
  using format = floating<T>;
  constexpr typename format::bits away = sizeof(T) == 8 ? 64 : 32;
  constexpr T up = sizeof(T) == 8 ? T(0x1p64) : T(0x1p32);
  const auto negative = x < T(0);
  const bits power = negative ? bits{} + (format::bias + away) : bits{} + (format::bias - away);
  const auto back = negative ? d::all(1 / up) : d::all(up);
  return y * d::number_of((d::bits_of(shifted) + power) << format::fraction_bits) * back;
}

// What expm1 and k3 share, all at half scale so that the largest results do not overflow on the way:
// half = 2^k / 2, half_less = (2^k - 1) / 2, tail = exp(r) - 1 - r_high.
template <class V>
struct exponential_parts {
  V k, half, half_less, r_high, tail;
};

template <class T, class Isa, class V>
GRADWIRE_LANES_INLINE exponential_parts<V> take_apart(V x) noexcept {
  using d = vectors<T, Isa>;
  using c = constants<T>;
  using format = floating<T>;
  constexpr T magic = format::integers_from * T(1.5);
  const V shifted = d::opaque(x * c::log2_e + magic), k = shifted - magic;
  const V r_high = x - k * c::ln2_high, r_low = k * c::ln2_low, r = r_high - r_low;
  const V half = d::number_of((d::bits_of(shifted) + (format::bias - 1)) << format::fraction_bits);
  return {k, half, half - T(0.5), r_high, k3_tail<T>(r, r_low)};
}

}  // namespace detail

template <class T, class Isa>
GRADWIRE_LANES_INLINE lanes<T, Isa> exp(lanes<T, Isa> x) noexcept {
  using d = detail::vectors<T, Isa>;
  using c = detail::constants<T>;
  using V = typename d::number;
  detail::count_exponential<T, Isa>();
  const V within = clamp(x, lanes<T, Isa>::broadcast(c::exp_least), lanes<T, Isa>::broadcast(c::exp_greatest)).v;
  constexpr T magic = detail::floating<T>::integers_from * T(1.5);
#if defined(__AVX512F__) && !defined(__clang__)
  if constexpr (Isa::bytes == 64 && sizeof(T) == 8) {  // 2^(j/16) lies in two registers: a shorter polynomial does
    const V sixteenths = d::opaque(within * (16 * c::log2_e) + magic), k = sixteenths - magic;
    const V r = (within - k * (c::ln2_high / 16)) - k * (c::ln2_low / 16), r2 = r * r;
    const V low = lanes<T, Isa>::load(c::powers).v, high = lanes<T, Isa>::load(c::powers + 8).v;
    const V power = __builtin_shuffle(low, high, reinterpret_cast<typename mask<T, Isa>::vector_type>(sixteenths));
    constexpr auto& p = c::exp_sixteenth;
    const V tail = r + r2 * ((p[0] + p[1] * r) + r2 * ((p[2] + p[3] * r) + r2 * p[4]));
    return {detail::scaled<T, Isa>(power + power * tail, k * T(0.0625), k, k)};
  }
#endif
  const V shifted = d::opaque(within * c::log2_e + magic), k = shifted - magic;
  const V r = (within - k * c::ln2_high) - k * c::ln2_low, r2 = r * r;
  const V y = T(1) + (r + r2 * detail::exp_polynomial<T>(r, r2));
  return {detail::scaled<T, Isa>(y, k, shifted, within)};
}

template <class T, class Isa>
GRADWIRE_LANES_INLINE lanes<T, Isa> expm1(lanes<T, Isa> x) noexcept {
  using L = lanes<T, Isa>;
  using c = detail::constants<T>;
  detail::count_exponential<T, Isa>();
  const auto part = detail::take_apart<T, Isa>(clamp(x, L::broadcast(c::expm1_least), L::broadcast(c::exp_greatest)).v);
  const auto half = (part.half_less + part.half * part.r_high) + part.half * part.tail;
  constexpr T tiny = sizeof(T) == 8 ? T(0x1p-54) : T(0x1p-25);  // expm1(x) is x here; keeps -0 and subnormals
  return {abs(x).v < tiny ? x.v : half + half};
}

// Near 0 exp(d) - d - 1 cancels down to d^2 / 2, around |d| = 0.35 by a factor of 9. With s = 2^k the value is
// (s - 1 - k ln 2) + (s - 1) r + s (exp(r) - 1 - r): for k = 0 only the last term, which is relatively exact, remains;
// for k = 1 and -1 the sum of the first two is exact in floating point; beyond, nothing cancels.
template <class T, class Isa>
GRADWIRE_LANES_INLINE k3_pair<T, Isa> k3_with_slope(lanes<T, Isa> difference) noexcept {
  using L = lanes<T, Isa>;
  using c = detail::constants<T>;
  detail::count_exponential<T, Isa>();
  const L least = L::broadcast(c::expm1_least), above = max(least, difference);
  const auto part = detail::take_apart<T, Isa>(min(L::broadcast(c::exp_greatest), above).v);
  const auto straight = part.half_less * part.r_high + (part.half_less - part.k * (c::ln2_high / 2));
  const auto value = straight + part.half * part.tail;
  const auto half_slope = (part.half_less + part.half * part.r_high) + part.half * part.tail;
  const auto below = max(least - difference, L::zero());  // what the lower bound cut off belongs to -d
  return {{T(2) * value + below.v}, {T(2) * half_slope}};
}

}  // namespace gradwire::inline v0
