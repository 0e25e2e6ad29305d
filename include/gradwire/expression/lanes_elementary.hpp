// SPDX-License-Identifier: Apache-2.0
// abs, sqrt and floor of a block, and the bit patterns behind them and behind the exponential and the logarithm.
#pragma once

#include <gradwire/expression/lanes_min_max.hpp>

namespace gradwire::inline v0 {

namespace detail {

template <class T>
struct floating;  // the layout of a floating-point number
template <>
struct floating<double> {
  using bits = unsigned long long;
  static constexpr int fraction_bits = 52;
  static constexpr bits bias = 1023;
  static constexpr double integers_from = 0x1p52;  // from here on every number is whole
  static constexpr double smallest_normal = 0x1p-1022;
};
template <>
struct floating<float> {
  using bits = unsigned;
  static constexpr int fraction_bits = 23;
  static constexpr bits bias = 127;
  static constexpr float integers_from = 0x1p23f;
  static constexpr float smallest_normal = 0x1p-126f;
};

// The vectors of a block without their wrapper: `number` of T, `bits` of unsigned integers of the same size.
template <class T, class Isa>
struct vectors {
  using bits_element = typename floating<T>::bits;
  using number = typename lanes<T, Isa>::vector_type;
  typedef bits_element bits __attribute__((vector_size(Isa::bytes)));
  static constexpr bits_element sign = bits_element{1} << (8 * sizeof(T) - 1);

  GRADWIRE_LANES_INLINE static bits bits_of(number x) noexcept { return reinterpret_cast<bits>(x); }
  GRADWIRE_LANES_INLINE static number number_of(bits x) noexcept { return reinterpret_cast<number>(x); }
  GRADWIRE_LANES_INLINE static number all(T x) noexcept { return x - number{}; }

  // Under -ffast-math the compiler would cancel the constant that is added and taken away to round; then, and only
  // then, it is kept from seeing through.
  GRADWIRE_LANES_INLINE static number opaque(number x) noexcept {
#if defined(__FAST_MATH__) && defined(__x86_64__)
    __asm__("" : "+x"(x));
#elif defined(__FAST_MATH__) && defined(__aarch64__)
    __asm__("" : "+w"(x));
#endif
    return x;
  }
};

}  // namespace detail

template <class T, class Isa>
GRADWIRE_LANES_INLINE lanes<T, Isa> abs(lanes<T, Isa> x) noexcept {
  using d = detail::vectors<T, Isa>;
  return {d::number_of(d::bits_of(x.v) & ~d::sign)};
}

template <class T, class Isa>
GRADWIRE_LANES_INLINE lanes<T, Isa> floor(lanes<T, Isa> x) noexcept {
  using d = detail::vectors<T, Isa>;
  constexpr T whole = detail::floating<T>::integers_from;  // added and taken away, it rounds what is smaller
  const auto magnitude = abs(x).v;
  const auto sign = d::bits_of(x.v) & d::sign;
  const auto nearest = d::number_of(d::bits_of(d::opaque(magnitude + whole) - whole) | sign);
  const auto below = nearest > x.v ? nearest - T(1) : nearest;
  return {magnitude < whole ? below : x.v};
}

template <class T, class Isa>
GRADWIRE_LANES_INLINE lanes<T, Isa> sqrt(lanes<T, Isa> x) noexcept {
#if defined(__SSE2__) && !defined(__clang__)
  [[maybe_unused]] constexpr bool wide = sizeof(T) == 8;
#if defined(__AVX512F__)
  if constexpr (Isa::bytes == 64 && wide) return {__builtin_ia32_sqrtpd512_mask(x.v, x.v, -1, 4)};
  if constexpr (Isa::bytes == 64 && !wide) return {__builtin_ia32_sqrtps512_mask(x.v, x.v, -1, 4)};
#endif
#if defined(__AVX__)
  if constexpr (Isa::bytes == 32 && wide) return {__builtin_ia32_sqrtpd256(x.v)};
  if constexpr (Isa::bytes == 32 && !wide) return {__builtin_ia32_sqrtps256(x.v)};
#endif
  if constexpr (Isa::bytes == 16 && wide) return {__builtin_ia32_sqrtpd(x.v)};
  if constexpr (Isa::bytes == 16 && !wide) return {__builtin_ia32_sqrtps(x.v)};
#endif
  for (int i = 0; i < x.width; ++i)
    x.v[i] =
        static_cast<T>(__builtin_sqrt(static_cast<double>(x.v[i])));  // of a float too: the double root rounds right
  return x;
}

}  // namespace gradwire::inline v0
