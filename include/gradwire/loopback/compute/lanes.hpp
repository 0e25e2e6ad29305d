// SPDX-License-Identifier: Apache-2.0
// The compiler's vector type of the target's width, so that sums and exponentials vectorise without -ffast-math. Every
// kernel is written once, for V = a vector (the body of a row) and for V = the scalar (its tail).
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#if defined(__x86_64__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // inside g++ 12's own AVX-512 header (GCC bug 105593)
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

namespace gradwire::inline v0 {
namespace loopback {

#if defined(__AVX512F__)
inline constexpr std::size_t lane_bytes = 64;
#elif defined(__AVX__)
inline constexpr std::size_t lane_bytes = 32;
#else
inline constexpr std::size_t lane_bytes = 16;
#endif

namespace detail {

template <class T>
struct lanes_type {
  typedef T type __attribute__((vector_size(lane_bytes)));
};

template <class V>
struct lane_of {
  using type = std::remove_cvref_t<decltype(std::declval<V>()[0])>;
};
template <class V>
requires std::is_arithmetic_v<V>
struct lane_of<V> {
  using type = V;
};

}  // namespace detail

template <class T>
using lanes = typename detail::lanes_type<T>::type;

template <class V>
using lane_t = typename detail::lane_of<V>::type;

template <class V>
inline constexpr std::size_t lane_count = sizeof(V) / sizeof(lane_t<V>);

template <class V>
[[gnu::always_inline]] inline V load(const lane_t<V>* from) {
  V value;
  std::memcpy(&value, from, sizeof(V));
  return value;
}

template <class V>
[[gnu::always_inline]] inline void store(lane_t<V>* to, const V& value) {
  std::memcpy(to, &value, sizeof(V));
}

template <class V>
[[gnu::always_inline]] inline V broadcast(lane_t<V> value) {
  return V{} + value;
}

template <class V>
[[gnu::always_inline]] inline V maximum(const V& a, const V& b) {
  return a > b ? a : b;
}

template <class V>
[[gnu::always_inline]] inline lane_t<V> sum_of_lanes(const V& value) {
  if constexpr (std::is_arithmetic_v<V>) {
    return value;
  } else {
    lane_t<V> total = value[0];
    for (std::size_t i = 1; i < lane_count<V>; ++i) total += value[i];
    return total;
  }
}

// f.operator()<V>(i) for i = 0, step, 2 step … with whole vectors, then with scalars for the rest.
template <class T, class F>
[[gnu::always_inline]] inline void for_lanes(std::size_t n, F&& f) {
  using vector = lanes<T>;
  std::size_t i = 0;
  for (; i + lane_count<vector> <= n; i += lane_count<vector>) f.template operator()<vector>(i);
  for (; i < n; ++i) f.template operator()<T>(i);
}

// Σ f<V>(i) over a row; f returns a V.
template <class T, class F>
[[gnu::always_inline]] inline T sum_over_lanes(std::size_t n, F&& f) {
  using vector = lanes<T>;
  constexpr std::size_t step = lane_count<vector>;
  vector first{}, second{};
  std::size_t i = 0;
  for (; i + 2 * step <= n; i += 2 * step) {
    first += f.template operator()<vector>(i);
    second += f.template operator()<vector>(i + step);
  }
  if (i + step <= n) first += f.template operator()<vector>(i), i += step;
  T total = sum_of_lanes(vector(first + second));
  for (; i < n; ++i) total += f.template operator()<T>(i);
  return total;
}

// The largest of x[0..n), n > 0.
template <class T>
inline T maximum_of(const T* x, std::size_t n) {
  using vector = lanes<T>;
  T highest = x[0];
  std::size_t i = 0;
  if (n >= lane_count<vector>) {
    vector best = load<vector>(x);
    for (i = lane_count<vector>; i + lane_count<vector> <= n; i += lane_count<vector>)
      best = maximum<vector>(best, load<vector>(x + i));
    for (std::size_t lane = 0; lane < lane_count<vector>; ++lane) highest = maximum<T>(highest, best[lane]);
  }
  for (; i < n; ++i) highest = maximum<T>(highest, x[i]);
  return highest;
}

// sqrt(x); the intrinsic, because std::sqrt may set errno and so never vectorises.
template <class V>
[[gnu::always_inline]] inline V square_root(const V& x) {
  if constexpr (std::is_arithmetic_v<V>) {
    return std::sqrt(x);
#if defined(__AVX512F__)
  } else if constexpr (std::is_same_v<lane_t<V>, float>) {
    return _mm512_sqrt_ps(x);
#elif defined(__AVX__)
  } else if constexpr (std::is_same_v<lane_t<V>, float>) {
    return _mm256_sqrt_ps(x);
#elif defined(__x86_64__)
  } else if constexpr (std::is_same_v<lane_t<V>, float>) {
    return _mm_sqrt_ps(x);
#endif
  } else {
    V result{};
    for (std::size_t i = 0; i < lane_count<V>; ++i) result[i] = std::sqrt(x[i]);
    return result;
  }
}

// exp(x). float: 2^n p(r) with r = x - n ln 2 in two parts and a polynomial of degree 6, below 1.5 ulp on [-87, 88],
// 0 below and inf above; NaN stays NaN. double: the library's, for tests need it and nothing else does.
template <class V>
[[gnu::always_inline]] inline V exponential(const V& x) {
  if constexpr (std::is_same_v<lane_t<V>, float>) {
    using integers = std::conditional_t<std::is_arithmetic_v<V>, std::int32_t, lanes<std::int32_t>>;
    constexpr float magic = 12582912.0F;  // 1.5 · 2^23: adding it rounds to an integer in the low bits
    const V shifted = x * 1.44269504088896341F + magic;
    const V n = shifted - magic;
    const V r = (x - n * 0.693359375F) - n * -2.12194440e-4F;
    V p = broadcast<V>(1.9875691500e-4F);
    p = p * r + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    p = p * r * r + r + 1.0F;
    const integers bits = std::bit_cast<integers>(shifted) - 0x4B400000;  // n as an integer
    const V scale = std::bit_cast<V>(static_cast<integers>((bits + 127) << 23));
    V result = p * scale;
    result = x < -87.0F ? V{} : result;
    return x > 88.0F ? broadcast<V>(__builtin_inff()) : result;
  } else if constexpr (std::is_arithmetic_v<V>) {
    return std::exp(x);
  } else {
    V result{};
    for (std::size_t i = 0; i < lane_count<V>; ++i) result[i] = std::exp(x[i]);
    return result;
  }
}

}  // namespace loopback
}  // namespace gradwire::inline v0
