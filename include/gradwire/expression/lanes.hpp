// SPDX-License-Identifier: Apache-2.0
// A block of numbers that one instruction works on, in the compiler's own vector types: no intrinsics, hence no
// <immintrin.h> (which alone costs more to compile than a loss may) and no second version of anything for ARM.
//
// In lanes_*.hpp, all of them through lanes_math.hpp: min, max, clamp (lanes_min_max), abs, sqrt, floor
// (lanes_elementary), exp, expm1, k3 (lanes_exp), log, log1p (lanes_log), sigmoid and its kin (lanes_math), sums in
// double (lanes_accumulator).
#pragma once

#include <gradwire/expression/lanes_isa.hpp>

namespace gradwire::inline v0 {

template <class T, class Isa>
struct lanes;

// One truth a lane: all bits or none.
template <class T, class Isa>
struct mask {
  using vector_type = decltype(typename lanes<T, Isa>::vector_type{} < typename lanes<T, Isa>::vector_type{});
  vector_type v;

  GRADWIRE_LANES_INLINE static mask broadcast(bool truth) noexcept { return {vector_type{} - (truth ? 1 : 0)}; }
  GRADWIRE_LANES_INLINE friend mask operator&(mask a, mask b) noexcept { return {a.v & b.v}; }
  GRADWIRE_LANES_INLINE friend mask operator|(mask a, mask b) noexcept { return {a.v | b.v}; }
  GRADWIRE_LANES_INLINE friend mask operator^(mask a, mask b) noexcept { return {a.v ^ b.v}; }
  GRADWIRE_LANES_INLINE friend mask operator!(mask a) noexcept { return {~a.v}; }
  GRADWIRE_LANES_INLINE bool operator[](int lane) const noexcept { return v[lane] != 0; }
};

template <class T, class Isa>
struct lanes {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "lanes hold float or double");
  static constexpr int width = Isa::bytes / static_cast<int>(sizeof(T));
  typedef T vector_type __attribute__((vector_size(Isa::bytes)));
  using value_type = T;
  using isa_type = Isa;
  using mask_type = mask<T, Isa>;
  vector_type v;

  // p is a multiple of the block's size in memory (64 bytes are always enough).
  GRADWIRE_LANES_INLINE static lanes load(const T* p) noexcept { return {*reinterpret_cast<const vector_type*>(p)}; }
  GRADWIRE_LANES_INLINE void store(T* p) const noexcept { *reinterpret_cast<vector_type*>(p) = v; }
  GRADWIRE_LANES_INLINE static lanes broadcast(T x) noexcept { return {x - vector_type{}}; }  // + would lose -0
  GRADWIRE_LANES_INLINE static lanes zero() noexcept { return {vector_type{}}; }
  GRADWIRE_LANES_INLINE static lanes iota() noexcept {  // 0, 1, 2, …
    vector_type count{};
    for (int i = 0; i < width; ++i) count[i] = static_cast<T>(i);
    return {count};
  }
  GRADWIRE_LANES_INLINE T operator[](int lane) const noexcept { return v[lane]; }

  GRADWIRE_LANES_INLINE friend lanes operator+(lanes a, lanes b) noexcept { return {a.v + b.v}; }
  GRADWIRE_LANES_INLINE friend lanes operator-(lanes a, lanes b) noexcept { return {a.v - b.v}; }
  GRADWIRE_LANES_INLINE friend lanes operator*(lanes a, lanes b) noexcept { return {a.v * b.v}; }
  GRADWIRE_LANES_INLINE friend lanes operator/(lanes a, lanes b) noexcept { return {a.v / b.v}; }
  GRADWIRE_LANES_INLINE friend lanes operator-(lanes a) noexcept { return {-a.v}; }
  GRADWIRE_LANES_INLINE lanes& operator+=(lanes b) noexcept { return v += b.v, *this; }
  GRADWIRE_LANES_INLINE lanes& operator-=(lanes b) noexcept { return v -= b.v, *this; }
  GRADWIRE_LANES_INLINE lanes& operator*=(lanes b) noexcept { return v *= b.v, *this; }
  GRADWIRE_LANES_INLINE lanes& operator/=(lanes b) noexcept { return v /= b.v, *this; }

  GRADWIRE_LANES_INLINE friend mask_type operator<(lanes a, lanes b) noexcept { return {a.v < b.v}; }
  GRADWIRE_LANES_INLINE friend mask_type operator<=(lanes a, lanes b) noexcept { return {a.v <= b.v}; }
  GRADWIRE_LANES_INLINE friend mask_type operator>(lanes a, lanes b) noexcept { return {a.v > b.v}; }
  GRADWIRE_LANES_INLINE friend mask_type operator>=(lanes a, lanes b) noexcept { return {a.v >= b.v}; }
  GRADWIRE_LANES_INLINE friend mask_type operator==(lanes a, lanes b) noexcept { return {a.v == b.v}; }
  GRADWIRE_LANES_INLINE friend mask_type operator!=(lanes a, lanes b) noexcept { return {a.v != b.v}; }
};

// Selection moves bits and computes nothing: NaN and infinity in the branch that is not taken never show.
template <class T, class Isa>
GRADWIRE_LANES_INLINE lanes<T, Isa> select(mask<T, Isa> condition, lanes<T, Isa> if_true,
                                           lanes<T, Isa> if_false) noexcept {
  return {condition.v ? if_true.v : if_false.v};
}
template <class T, class Isa>
GRADWIRE_LANES_INLINE lanes<T, Isa> select_or_zero(mask<T, Isa> condition, lanes<T, Isa> if_true) noexcept {
  return {condition.v ? if_true.v : typename lanes<T, Isa>::vector_type{}};
}

}  // namespace gradwire::inline v0
