// SPDX-License-Identifier: Apache-2.0
// From numbers of any kind to the values of a column, and the check that they are finite where it matters.
#pragma once

#include <cstddef>
#include <cstdint>

#include <gradwire/datum/numbers.hpp>

namespace gradwire::inline v0 {
namespace detail {

// By the bits, so that -ffast-math in a user's build cannot remove the check.
inline bool is_finite(float x) noexcept { return (__builtin_bit_cast(std::uint32_t, x) & 0x7f800000u) != 0x7f800000u; }
inline bool is_finite(double x) noexcept {
  return (__builtin_bit_cast(std::uint64_t, x) & 0x7ff0000000000000u) != 0x7ff0000000000000u;
}

// One value; slow, for messages and small things.
[[gnu::noinline]] inline std::int64_t integer_at(const void* data, number_kind kind, std::size_t i) noexcept {
  switch (kind) {
    case number_kind::int8:
      return static_cast<const std::int8_t*>(data)[i];
    case number_kind::int16:
      return static_cast<const std::int16_t*>(data)[i];
    case number_kind::int32:
      return static_cast<const std::int32_t*>(data)[i];
    case number_kind::int64:
      return static_cast<const std::int64_t*>(data)[i];
    case number_kind::uint8:
      return static_cast<const std::uint8_t*>(data)[i];
    case number_kind::uint16:
      return static_cast<const std::uint16_t*>(data)[i];
    case number_kind::uint32:
      return static_cast<const std::uint32_t*>(data)[i];
    default: {  // uint64: what int64 cannot hold is too large for every use
      const auto value = static_cast<const std::uint64_t*>(data)[i];
      return value >> 63 ? 0x7fffffffffffffff : static_cast<std::int64_t>(value);
    }
  }
}
[[gnu::noinline]] inline double value_at(const void* data, number_kind kind, std::size_t i) noexcept {
  if (kind == number_kind::float32) return static_cast<double>(static_cast<const float*>(data)[i]);
  if (kind == number_kind::float64) return static_cast<const double*>(data)[i];
  return static_cast<double>(integer_at(data, kind, i));
}
inline double value_at(const numbers& from, std::size_t i) noexcept {
  return from.single ? from.value : value_at(from.data, from.kind, i);
}

// Integers above this size are not exact in T.
template <class T>
inline constexpr double largest_exact_integer = sizeof(T) == 4 ? 16777216.0 : 9007199254740991.0;

// out[i] = from[first + i * step]. Values that T cannot hold become inf, or lose their last digits if they are
// integers; `unfit` finds them.
template <class T>
[[gnu::noinline]] void convert(const numbers& from, std::size_t first, std::size_t step, std::size_t count, T* out) {
  if (from.single) {
    for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<T>(from.value);
    return;
  }
  constexpr auto same = sizeof(T) == 4 ? number_kind::float32 : number_kind::float64;
  if (from.kind == same && step == 1) {
    if (count) __builtin_memcpy(out, static_cast<const T*>(from.data) + first, count * sizeof(T));
    return;
  }
  if (from.kind == same) {
    const T* values = static_cast<const T*>(from.data) + first;
    for (std::size_t i = 0; i < count; ++i) out[i] = values[i * step];
    return;
  }
  if (!is_integer(from.kind)) {
    using other = std::conditional_t<sizeof(T) == 4, double, float>;
    const other* values = static_cast<const other*>(from.data) + first;
    for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<T>(values[i * step]);
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = static_cast<T>(integer_at(from.data, from.kind, first + i * step));
  }
}

inline constexpr std::size_t not_found = static_cast<std::size_t>(-1);

// Index of the first value that is not finite although its weight is not 0; weights[i] belongs to `width` values.
template <class T, class Weight>
std::size_t first_not_finite(const T* values, const Weight* weights, std::size_t tokens, std::size_t width) noexcept {
  for (std::size_t t = 0; t < tokens; ++t) {
    if (weights[t] == 0) continue;
    for (std::size_t k = 0; k < width; ++k) {
      if (!is_finite(values[t * width + k])) return t * width + k;
    }
  }
  return not_found;
}

}  // namespace detail
}  // namespace gradwire::inline v0
