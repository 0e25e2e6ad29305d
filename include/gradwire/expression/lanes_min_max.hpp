// SPDX-License-Identifier: Apache-2.0
// min(a, b) is a where a < b, else b; max(a, b) is a where a > b, else b. So a tie and a NaN on either side give the
// SECOND operand: whatever must keep its NaN goes second, as in clamp.
//
// On x86 that is one instruction; named here because GCC rewrites the comparison with a constant and then needs two.
#pragma once

#include <gradwire/expression/lanes.hpp>

namespace gradwire::inline v0 {

template <class T, class Isa>
GRADWIRE_LANES_INLINE lanes<T, Isa> min(lanes<T, Isa> a, lanes<T, Isa> b) noexcept {
#if defined(__SSE2__) && !defined(__clang__)
  [[maybe_unused]] constexpr bool wide = sizeof(T) == 8;
#if defined(__AVX512F__)
  if constexpr (Isa::bytes == 64 && wide) return {__builtin_ia32_minpd512_mask(a.v, b.v, a.v, -1, 4)};
  if constexpr (Isa::bytes == 64 && !wide) return {__builtin_ia32_minps512_mask(a.v, b.v, a.v, -1, 4)};
#endif
#if defined(__AVX__)
  if constexpr (Isa::bytes == 32 && wide) return {__builtin_ia32_minpd256(a.v, b.v)};
  if constexpr (Isa::bytes == 32 && !wide) return {__builtin_ia32_minps256(a.v, b.v)};
#endif
  if constexpr (Isa::bytes == 16 && wide) return {__builtin_ia32_minpd(a.v, b.v)};
  if constexpr (Isa::bytes == 16 && !wide) return {__builtin_ia32_minps(a.v, b.v)};
#endif
  return {a.v < b.v ? a.v : b.v};
}

template <class T, class Isa>
GRADWIRE_LANES_INLINE lanes<T, Isa> max(lanes<T, Isa> a, lanes<T, Isa> b) noexcept {
#if defined(__SSE2__) && !defined(__clang__)
  [[maybe_unused]] constexpr bool wide = sizeof(T) == 8;
#if defined(__AVX512F__)
  if constexpr (Isa::bytes == 64 && wide) return {__builtin_ia32_maxpd512_mask(a.v, b.v, a.v, -1, 4)};
  if constexpr (Isa::bytes == 64 && !wide) return {__builtin_ia32_maxps512_mask(a.v, b.v, a.v, -1, 4)};
#endif
#if defined(__AVX__)
  if constexpr (Isa::bytes == 32 && wide) return {__builtin_ia32_maxpd256(a.v, b.v)};
  if constexpr (Isa::bytes == 32 && !wide) return {__builtin_ia32_maxps256(a.v, b.v)};
#endif
  if constexpr (Isa::bytes == 16 && wide) return {__builtin_ia32_maxpd(a.v, b.v)};
  if constexpr (Isa::bytes == 16 && !wide) return {__builtin_ia32_maxps(a.v, b.v)};
#endif
  return {a.v > b.v ? a.v : b.v};
}

// x within [low, high]; NaN stays NaN.
template <class T, class Isa>
GRADWIRE_LANES_INLINE lanes<T, Isa> clamp(lanes<T, Isa> x, lanes<T, Isa> low, lanes<T, Isa> high) noexcept {
  return min(high, max(low, x));
}

}  // namespace gradwire::inline v0
