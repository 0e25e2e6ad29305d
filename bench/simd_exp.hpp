// SPDX-License-Identifier: Apache-2.0
// exp to 1.2 ulp, and k3 = exp(d) - d - 1 with its slope to 4 ulp, for the registers of simd.hpp. Edges as in the
// library.
#pragma once

#include "simd.hpp"

namespace bench {

template <class V>
struct exponential {
  using T = typename V::value;
  using R = typename V::reg;
  static constexpr bool doubles = sizeof(T) == 8;
  static constexpr T magic = doubles ? T(0x1.8p52) : T(0x1.8p23f);
  static constexpr T log2_e = T(0x1.71547652b82fep+0);
  static constexpr T ln2_high = doubles ? T(0x1.62e42fefap-1) : T(0x1.62e4p-1f);
  static constexpr T ln2_low = doubles ? T(0x1.cf79abc9e3b3ap-40) : T(0x1.7f7d1cp-20f);

  BENCH_INLINE R c(double x) { return V::all(static_cast<T>(x)); }

  BENCH_INLINE R exp(R x) {
    x = V::min(c(doubles ? 710 : 89), V::max(c(doubles ? -746 : -104), x));
#ifdef __AVX512F__
    if constexpr (doubles && sizeof(R) == 64) {
      alignas(64) static const double powers[16] = {0x1p+0,
                                                    0x1.0b5586cf9890fp+0,
                                                    0x1.172b83c7d517bp+0,
                                                    0x1.2387a6e756238p+0,
                                                    0x1.306fe0a31b715p+0,
                                                    0x1.3dea64c123422p+0,
                                                    0x1.4bfdad5362a27p+0,
                                                    0x1.5ab07dd485429p+0,
                                                    0x1.6a09e667f3bcdp+0,
                                                    0x1.7a11473eb0187p+0,
                                                    0x1.8ace5422aa0dbp+0,
                                                    0x1.9c49182a3f09p+0,
                                                    0x1.ae89f995ad3adp+0,
                                                    0x1.c199bdd85529cp+0,
                                                    0x1.d5818dcfba487p+0,
                                                    0x1.ea4afa2a490dap+0};
      const R shifted = V::fma(x, c(16 * log2_e), c(magic)), k = shifted - c(magic);
      const R r = V::fnma(k, c(ln2_low / 16), V::fnma(k, c(ln2_high / 16), x)), r2 = r * r;
      const R power = _mm512_permutex2var_pd(V::load(powers), _mm512_castpd_si512(shifted), V::load(powers + 8));
      const R low = V::fma(r, c(0x1.55555554dd222p-3), c(0.5));
      const R high = V::fma(r2, c(0x1.6c176107bee84p-10), V::fma(r, c(0x1.11120b2387924p-7), c(0x1.55555555696b9p-5)));
      const R tail = V::fma(r2, V::fma(r2, high, low), r);
      return V::scale(V::fma(power, tail, power), k * c(0.0625), k, k);
    } else
#endif
    {
      const R shifted = V::fma(x, c(log2_e), c(magic)), k = shifted - c(magic);
      const R r = V::fnma(k, c(ln2_low), V::fnma(k, c(ln2_high), x)), r2 = r * r;
      R p;
      if constexpr (doubles) {
        const R r4 = r2 * r2;
        const R a = V::fma(r, c(0x1.555555555554fp-3), c(0.5));
        const R b = V::fma(r, c(0x1.1111111113ff7p-7), c(0x1.5555555554442p-5));
        const R d = V::fma(r, c(0x1.a01a018c71a0bp-13), c(0x1.6c16c176e2e8p-10));
        const R e = V::fma(r, c(0x1.71de5cdd08192p-19), c(0x1.a019bdbbfcd4p-16));
        const R f = V::fma(r, c(0x1.aea1a8dedaafap-26), c(0x1.288d20f03a85p-22));
        p = V::fma(r4, V::fma(r4, f, V::fma(r2, e, d)), V::fma(r2, b, a));
      } else {
        const R a = V::fma(r, c(0x1.5554dep-3), c(0.5));
        const R b = V::fma(r, c(0x1.120ad2p-7), c(0x1.55556ep-5));
        p = V::fma(r2, V::fma(r2, c(0x1.6cafaap-10), b), a);
      }
      return V::scale(c(1) + V::fma(r2, p, r), k, shifted, x);
    }
  }

  struct pair {
    R value, slope;
  };
  // value = (s - 1 - k ln 2) + (s - 1) r + s (exp(r) - 1 - r), s = 2^k, at half scale; slope = expm1(d)
  BENCH_INLINE pair k3(R d) {
    const R least = c(doubles ? -700 : -80);
    const R x = V::min(c(doubles ? 710 : 89), V::max(least, d));
    const R shifted = V::fma(x, c(log2_e), c(magic)), k = shifted - c(magic);
    const R r_high = V::fnma(k, c(ln2_high), x), r_low = k * c(ln2_low), r = r_high - r_low, r2 = r * r, r4 = r2 * r2;
    R q;
    if constexpr (doubles) {
      const R a = V::fma(r, c(0x1.5555555555555p-5), c(0x1.5555555555557p-3));
      const R b = V::fma(r, c(0x1.6c16c16c1714cp-10), c(0x1.1111111110054p-7));
      const R e = V::fma(r, c(0x1.a01a019fca5f8p-16), c(0x1.a01a01ac1c222p-13));
      const R f = V::fma(r, c(0x1.27e4eef793e03p-22), c(0x1.71de01b1c75dcp-19));
      const R g = V::fma(r, c(0x1.1f4f9cbc38e6dp-29), c(0x1.af4ec38ed545bp-26));
      q = V::fma(r4, V::fma(r4, g, V::fma(r2, f, e)), V::fma(r2, b, a));
    } else {
      const R a = V::fma(r, c(0x1.55550cp-5), c(0x1.555556p-3));
      const R b = V::fma(r, c(0x1.6d2218p-10), c(0x1.111054p-7));
      q = V::fma(r4, c(0x1.a16a84p-13), V::fma(r2, b, a));
    }
    const R tail = V::fma(r2 * r, q, V::fma(c(0.5), r2, -r_low));
    const R half = V::half_power(shifted), half_less = half - c(0.5);
    const R straight = V::fma(half_less, r_high, V::fnma(k, c(ln2_high / 2), half_less));
    const R value = V::fma(half, tail, straight);
    const R slope = V::fma(half, tail, V::fma(half, r_high, half_less));
    return {V::fma(c(2), value, V::max(least - d, c(0))), slope + slope};
  }
};

}  // namespace bench
