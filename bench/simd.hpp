// SPDX-License-Identifier: Apache-2.0
// What the hand-written kernels are written in: AVX-512 and AVX2 registers of doubles and floats behind the same few
// names, in intrinsics, with exp and k3. Used by bench/ only; the library has its own, without intrinsics
// (expression/lanes.hpp).
#pragma once

#include <immintrin.h>

#define BENCH_INLINE [[gnu::always_inline]] static inline

namespace bench {

template <class T, int Bytes>
struct simd;

#ifdef __AVX512F__

template <>
struct simd<double, 64> {
  using value = double;
  using reg = __m512d;
  using mask = __mmask8;
  using wide = simd<double, 64>;
  static constexpr int width = 8;
  BENCH_INLINE reg all(double x) { return _mm512_set1_pd(x); }
  BENCH_INLINE reg load(const double* p) { return _mm512_load_pd(p); }
  BENCH_INLINE void store(double* p, reg x) { _mm512_store_pd(p, x); }
  BENCH_INLINE reg fma(reg a, reg b, reg c) { return _mm512_fmadd_pd(a, b, c); }
  BENCH_INLINE reg fnma(reg a, reg b, reg c) { return _mm512_fnmadd_pd(a, b, c); }
  BENCH_INLINE reg min(reg a, reg b) { return _mm512_min_pd(a, b); }
  BENCH_INLINE reg max(reg a, reg b) { return _mm512_max_pd(a, b); }
  BENCH_INLINE mask less_equal(reg a, reg b) { return _mm512_cmp_pd_mask(a, b, _CMP_LE_OQ); }
  BENCH_INLINE mask nonzero(reg a) { return _mm512_cmp_pd_mask(a, _mm512_setzero_pd(), _CMP_NEQ_UQ); }
  BENCH_INLINE reg keep(mask m, reg x) { return _mm512_maskz_mov_pd(m, x); }
  BENCH_INLINE double sum(reg x) { return _mm512_reduce_add_pd(x); }
  BENCH_INLINE void add_wide(reg* sums, reg x) { sums[0] = _mm512_add_pd(sums[0], x); }
  BENCH_INLINE reg scale(reg y, reg k, reg, reg) { return _mm512_scalef_pd(y, k); }
  BENCH_INLINE reg half_power(reg shifted) {  // 2^(k - 1), k in the lowest bits
    return _mm512_castsi512_pd(
        _mm512_slli_epi64(_mm512_add_epi64(_mm512_castpd_si512(shifted), _mm512_set1_epi64(1022)), 52));
  }
};

template <>
struct simd<float, 64> {
  using value = float;
  using reg = __m512;
  using mask = __mmask16;
  using wide = simd<double, 64>;
  static constexpr int width = 16;
  BENCH_INLINE reg all(float x) { return _mm512_set1_ps(x); }
  BENCH_INLINE reg load(const float* p) { return _mm512_load_ps(p); }
  BENCH_INLINE void store(float* p, reg x) { _mm512_store_ps(p, x); }
  BENCH_INLINE reg fma(reg a, reg b, reg c) { return _mm512_fmadd_ps(a, b, c); }
  BENCH_INLINE reg fnma(reg a, reg b, reg c) { return _mm512_fnmadd_ps(a, b, c); }
  BENCH_INLINE reg min(reg a, reg b) { return _mm512_min_ps(a, b); }
  BENCH_INLINE reg max(reg a, reg b) { return _mm512_max_ps(a, b); }
  BENCH_INLINE mask less_equal(reg a, reg b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
  BENCH_INLINE mask nonzero(reg a) { return _mm512_cmp_ps_mask(a, _mm512_setzero_ps(), _CMP_NEQ_UQ); }
  BENCH_INLINE reg keep(mask m, reg x) { return _mm512_maskz_mov_ps(m, x); }
  BENCH_INLINE double sum(reg x) { return static_cast<double>(_mm512_reduce_add_ps(x)); }
  BENCH_INLINE void add_wide(__m512d* sums, reg x) {
    sums[0] = _mm512_add_pd(sums[0], _mm512_cvtps_pd(_mm512_castps512_ps256(x)));
    sums[1] = _mm512_add_pd(sums[1], _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1)));
  }
  BENCH_INLINE reg scale(reg y, reg k, reg, reg) { return _mm512_scalef_ps(y, k); }
  BENCH_INLINE reg half_power(reg shifted) {
    return _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_add_epi32(_mm512_castps_si512(shifted), _mm512_set1_epi32(126)), 23));
  }
};

#endif

template <>
struct simd<double, 32> {
  using value = double;
  using reg = __m256d;
  using mask = __m256d;
  using wide = simd<double, 32>;
  static constexpr int width = 4;
  BENCH_INLINE reg all(double x) { return _mm256_set1_pd(x); }
  BENCH_INLINE reg load(const double* p) { return _mm256_load_pd(p); }
  BENCH_INLINE void store(double* p, reg x) { _mm256_store_pd(p, x); }
  BENCH_INLINE reg fma(reg a, reg b, reg c) { return _mm256_fmadd_pd(a, b, c); }
  BENCH_INLINE reg fnma(reg a, reg b, reg c) { return _mm256_fnmadd_pd(a, b, c); }
  BENCH_INLINE reg min(reg a, reg b) { return _mm256_min_pd(a, b); }
  BENCH_INLINE reg max(reg a, reg b) { return _mm256_max_pd(a, b); }
  BENCH_INLINE mask less_equal(reg a, reg b) { return _mm256_cmp_pd(a, b, _CMP_LE_OQ); }
  BENCH_INLINE mask nonzero(reg a) { return _mm256_cmp_pd(a, _mm256_setzero_pd(), _CMP_NEQ_UQ); }
  BENCH_INLINE reg keep(mask m, reg x) { return _mm256_and_pd(m, x); }
  BENCH_INLINE double sum(reg x) {
    const __m128d s = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
  }
  BENCH_INLINE void add_wide(reg* sums, reg x) { sums[0] = _mm256_add_pd(sums[0], x); }
  // 2^(k ± 64), then back: the second factor rounds once where the result is subnormal
  BENCH_INLINE reg scale(reg y, reg, reg shifted, reg x) {
    const __m256i away = _mm256_castpd_si256(_mm256_blendv_pd(_mm256_castsi256_pd(_mm256_set1_epi64x(1023 - 64)),
                                                              _mm256_castsi256_pd(_mm256_set1_epi64x(1023 + 64)), x));
    const __m256i power = _mm256_slli_epi64(_mm256_add_epi64(_mm256_castpd_si256(shifted), away), 52);
    return y * _mm256_castsi256_pd(power) * _mm256_blendv_pd(all(0x1p64), all(0x1p-64), x);
  }
  BENCH_INLINE reg half_power(reg shifted) {
    return _mm256_castsi256_pd(
        _mm256_slli_epi64(_mm256_add_epi64(_mm256_castpd_si256(shifted), _mm256_set1_epi64x(1022)), 52));
  }
};

template <>
struct simd<float, 32> {
  using value = float;
  using reg = __m256;
  using mask = __m256;
  using wide = simd<double, 32>;
  static constexpr int width = 8;
  BENCH_INLINE reg all(float x) { return _mm256_set1_ps(x); }
  BENCH_INLINE reg load(const float* p) { return _mm256_load_ps(p); }
  BENCH_INLINE void store(float* p, reg x) { _mm256_store_ps(p, x); }
  BENCH_INLINE reg fma(reg a, reg b, reg c) { return _mm256_fmadd_ps(a, b, c); }
  BENCH_INLINE reg fnma(reg a, reg b, reg c) { return _mm256_fnmadd_ps(a, b, c); }
  BENCH_INLINE reg min(reg a, reg b) { return _mm256_min_ps(a, b); }
  BENCH_INLINE reg max(reg a, reg b) { return _mm256_max_ps(a, b); }
  BENCH_INLINE mask less_equal(reg a, reg b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
  BENCH_INLINE mask nonzero(reg a) { return _mm256_cmp_ps(a, _mm256_setzero_ps(), _CMP_NEQ_UQ); }
  BENCH_INLINE reg keep(mask m, reg x) { return _mm256_and_ps(m, x); }
  BENCH_INLINE double sum(reg x) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return static_cast<double>(_mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1))));
  }
  BENCH_INLINE void add_wide(__m256d* sums, reg x) {
    sums[0] = _mm256_add_pd(sums[0], _mm256_cvtps_pd(_mm256_castps256_ps128(x)));
    sums[1] = _mm256_add_pd(sums[1], _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1)));
  }
  BENCH_INLINE reg scale(reg y, reg, reg shifted, reg x) {
    const __m256i away = _mm256_castps_si256(_mm256_blendv_ps(_mm256_castsi256_ps(_mm256_set1_epi32(127 - 32)),
                                                              _mm256_castsi256_ps(_mm256_set1_epi32(127 + 32)), x));
    const __m256i power = _mm256_slli_epi32(_mm256_add_epi32(_mm256_castps_si256(shifted), away), 23);
    return y * _mm256_castsi256_ps(power) * _mm256_blendv_ps(all(0x1p32f), all(0x1p-32f), x);
  }
  BENCH_INLINE reg half_power(reg shifted) {
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_add_epi32(_mm256_castps_si256(shifted), _mm256_set1_epi32(126)), 23));
  }
};

}  // namespace bench
