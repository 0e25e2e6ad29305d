// SPDX-License-Identifier: Apache-2.0
// A sum over blocks, always in double and in a fixed order.
#pragma once

#include <gradwire/expression/lanes.hpp>

namespace gradwire::inline v0 {

namespace detail {

// Two levels: an inner sum of up to 64 additions a lane, flushed into an outer one that also keeps what its own
// roundings lost, so that the error stays that of 64 additions, about 1e-15, however long the row.
template <class V>
struct two_level_sum {
  V inner{}, outer{}, lost{};

  GRADWIRE_LANES_INLINE void flush() noexcept {
    const V sum = outer + inner, taken = sum - outer;  // the exact error of a sum (Knuth)
    lost += (outer - (sum - taken)) + (inner - taken);
    outer = sum;
    inner = V{};
  }
};

// The lower or upper half of a block of floats as doubles. The builtins because GCC 12 otherwise takes four
// instructions.
template <bool Upper, class Isa>
GRADWIRE_LANES_INLINE typename lanes<double, Isa>::vector_type widened(
    typename lanes<float, Isa>::vector_type x) noexcept {
  using wide = typename lanes<double, Isa>::vector_type;
  if constexpr (Isa::bytes == 16) {
#if defined(__SSE2__) && !defined(__clang__)
    if constexpr (Upper) x = __builtin_shufflevector(x, x, 2, 3, 2, 3);
    return __builtin_ia32_cvtps2pd(x);
#else
    if constexpr (Upper) return __builtin_convertvector(__builtin_shufflevector(x, x, 2, 3), wide);
    return __builtin_convertvector(__builtin_shufflevector(x, x, 0, 1), wide);
#endif
  } else if constexpr (Isa::bytes == 32) {
    const auto half = Upper ? __builtin_shufflevector(x, x, 4, 5, 6, 7) : __builtin_shufflevector(x, x, 0, 1, 2, 3);
#if defined(__AVX__) && !defined(__clang__)
    return __builtin_ia32_cvtps2pd256(half);
#else
    return __builtin_convertvector(half, wide);
#endif
  } else {
    const auto half = Upper ? __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15)
                            : __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7);
#if defined(__AVX512F__) && !defined(__clang__)
    return __builtin_ia32_cvtps2pd512_mask(half, wide{}, -1, 4);
#else
    return __builtin_convertvector(half, wide);
#endif
  }
}

}  // namespace detail

template <class T, class Isa>
struct accumulator {
  using wide = typename lanes<double, Isa>::vector_type;
  static constexpr int block = 64;

  detail::two_level_sum<wide> low, high;  // of a block of floats both halves, of doubles only the first
  int pending = 0;

  GRADWIRE_LANES_INLINE void add(lanes<T, Isa> x) noexcept {
    if constexpr (sizeof(T) == 8) {
      low.inner += x.v;
    } else {
      low.inner += detail::widened<false, Isa>(x.v);
      high.inner += detail::widened<true, Isa>(x.v);
    }
    if (__builtin_expect(++pending == block, 0)) flush();
  }

  GRADWIRE_LANES_INLINE void flush() noexcept {
    low.flush();
    if constexpr (sizeof(T) == 4) high.flush();
    pending = 0;
  }

  GRADWIRE_LANES_INLINE double total() const noexcept {
    wide large = low.outer, small = low.inner + low.lost;
    if constexpr (sizeof(T) == 4) large += high.outer, small += high.inner + high.lost;
    double sum = 0, rest = 0;
    for (int i = 0; i < lanes<double, Isa>::width; ++i) sum += large[i], rest += small[i];
    return sum + rest;
  }
};

}  // namespace gradwire::inline v0
