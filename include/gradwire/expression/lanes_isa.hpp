// SPDX-License-Identifier: Apache-2.0
// Instruction sets as types. One of them is a template parameter of every kernel, so that two files compiled for
// different targets never share a symbol; `native_isa` is the widest one that this file is compiled for.
#pragma once

#define GRADWIRE_LANES_INLINE [[gnu::always_inline]] inline

namespace gradwire::inline v0 {

struct isa_baseline {
  static constexpr int bytes = 16;  // SSE2 on x86-64, NEON on ARM
};
struct isa_avx2 {
  static constexpr int bytes = 32;
};
struct isa_avx512 {
  static constexpr int bytes = 64;
};

namespace detail {

// What else the target of this file has: -march=nehalem and plain x86-64 are both "baseline", yet their machine code
// must not be merged by the linker either, so the type says it.
constexpr unsigned target_features = 0
#if defined(__SSE4_1__) || defined(__ARM_FEATURE_FMA)
                                     + 1
#endif
#if defined(__AVX__)
                                     + 2
#endif
#if defined(__FMA__)
                                     + 4
#endif
#if defined(__BMI2__)
                                     + 8
#endif
#if defined(__AVX512VBMI__)
                                     + 16
#endif
#if defined(__AVX512VBMI2__)
                                     + 32
#endif
#if defined(__AVXVNNI__)
                                     + 64
#endif
    ;

template <class Isa, unsigned Features>
struct compiled_for : Isa {};

}  // namespace detail

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512BW__) && defined(__AVX512VL__)
using native_isa = detail::compiled_for<isa_avx512, detail::target_features>;
#elif defined(__AVX2__) && defined(__FMA__)
using native_isa = detail::compiled_for<isa_avx2, detail::target_features>;
#else
using native_isa = detail::compiled_for<isa_baseline, detail::target_features>;
#endif

}  // namespace gradwire::inline v0
