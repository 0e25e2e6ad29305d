// SPDX-License-Identifier: Apache-2.0
// The kernels that the library is measured against: each loss written by hand in intrinsics, value and gradient in as
// few passes as there can be, no heap, on the batch's own rows (aligned, padded with weight 0). Two flavours:
//
//   free      multiplies by the weights, sums floats in float, k3 as exp(d) - d - 1: as fast as this gets, and
//             wrong where a masked token holds NaN, near d = 0 in float, and in long sums
//   contract  keeps what the library promises: selects, sums in double, k3 to 4 ulp everywhere
#pragma once

#include <cmath>
#include <cstddef>
#include <type_traits>

#include "simd_exp.hpp"

namespace bench {

struct parameters {
  double clip = 0.2, beta = 0.04, gspo_clip = 0.003, dpo_beta = 0.1;
};

template <class T>
struct rows {
  const T *logprobs, *old, *reference, *weight, *advantage;
  const std::size_t *offset, *length;
  const double* weight_sum;
  double total_weight;
  std::size_t sequences;
  T* slope;
};

template <class V, bool Contract>
struct hand {
  using T = typename V::value;
  using R = typename V::reg;
  using W = typename V::wide;
  using E = exponential<V>;
  static constexpr std::size_t width = V::width;
  static constexpr int parts = sizeof(double) / sizeof(T);

  struct sum {  // of a row: two chains, so that additions do not wait for each other
    typename W::reg wide[2 * parts]{};
    R narrow[2]{};
    template <int Chain>
    [[gnu::always_inline]] void add(R x) {
      if constexpr (Contract)
        V::add_wide(wide + Chain * parts, x);
      else
        narrow[Chain] += x;
    }
    double total() const {
      if constexpr (!Contract) return V::sum(narrow[0] + narrow[1]);
      double t = 0;
      for (const auto& w : wide) t += W::sum(w);
      return t;
    }
  };
  // block(i, 0), block(i + width, 1), block(i + 2 width, 0) …
  template <class Block>
  BENCH_INLINE void by_two(std::size_t begin, std::size_t end, const Block& block) {
    std::size_t i = begin;
    for (; i + width < end; i += 2 * width) {
      block(i, std::integral_constant<int, 0>{});
      block(i + width, std::integral_constant<int, 1>{});
    }
    if (i < end) block(i, std::integral_constant<int, 0>{});
  }
  BENCH_INLINE R all(double x) { return V::all(static_cast<T>(x)); }
  // x w, or 0 where w is 0
  BENCH_INLINE R weighted(R w, R x) {
    if constexpr (Contract) return V::keep(V::nonzero(w), x * w);
    return x * w;
  }

  static double grpo(const rows<T>& d, std::size_t first, std::size_t last, const parameters& p) {
    const R low = all(1 - p.clip), high = all(1 + p.clip), beta = all(p.beta);
    double loss = 0;
    for (std::size_t s = first; s < last; ++s) {
      const std::size_t b = d.offset[s], e = b + d.length[s];
      if (d.weight_sum[s] == 0) continue;
      const double share = 1 / (d.weight_sum[s] * static_cast<double>(d.sequences));
      const R scale = all(share), a = all(static_cast<double>(d.advantage[s]));
      sum total;
      const auto block = [&](std::size_t i) __attribute__((always_inline)) {
        const R now = V::load(d.logprobs + i), w = V::load(d.weight + i);
        const R ratio = E::exp(now - V::load(d.old + i)), difference = V::load(d.reference + i) - now;
        const R plain = ratio * a, clipped = V::min(high, V::max(low, ratio)) * a;
        R k3, slope;
        if constexpr (Contract) {
          const auto pair = E::k3(difference);
          k3 = pair.value, slope = pair.slope;
        } else {
          slope = E::exp(difference) - all(1);
          k3 = slope - difference;
        }
        total.template add<0>(weighted(w, V::fma(beta, k3, -V::min(plain, clipped))));
        const R gain = V::keep(V::less_equal(plain, clipped), plain);
        V::store(d.slope + i, weighted(w, V::fnma(beta, slope, -gain) * scale));
      };
      for (std::size_t i = b; i < e; i += width) block(i);
      loss += total.total() * share;
    }
    return loss;
  }

  static double sft(const rows<T>& d, std::size_t first, std::size_t last, const parameters&) {
    const R scale = all(-1 / d.total_weight);
    double loss = 0;
    for (std::size_t s = first; s < last; ++s) {
      const std::size_t b = d.offset[s], e = b + d.length[s];
      sum total;
      const auto block = [&](std::size_t i, auto chain) __attribute__((always_inline)) {
        const R w = V::load(d.weight + i);
        total.template add<chain.value>(weighted(w, V::load(d.logprobs + i)));
        V::store(d.slope + i, w * scale);
      };
      by_two(b, e, block);
      loss -= total.total() / d.total_weight;
    }
    return loss;
  }

  // Σ w (logprob - other) of a row
  BENCH_INLINE double difference(const rows<T>& d, const T* other, std::size_t s) {
    const std::size_t b = d.offset[s], e = b + d.length[s];
    sum total;
    by_two(
        b, e, [&](std::size_t i, auto chain) __attribute__((always_inline)) {
          const R now = V::load(d.logprobs + i);
          total.template add<chain.value>(weighted(V::load(d.weight + i), now - V::load(other + i)));
        });
    return total.total();
  }
  BENCH_INLINE void fill(const rows<T>& d, std::size_t s, double slope) {
    const R scale = all(slope);
    const std::size_t b = d.offset[s], e = b + d.length[s];
    for (std::size_t i = b; i < e; i += width) V::store(d.slope + i, V::load(d.weight + i) * scale);
  }

  static double gspo(const rows<T>& d, std::size_t first, std::size_t last, const parameters& p) {
    const double n = static_cast<double>(d.sequences);
    double loss = 0;
    for (std::size_t s = first; s < last; ++s) {
      const double ratio = std::exp(difference(d, d.old, s) / d.weight_sum[s]);
      const double a = static_cast<double>(d.advantage[s]), plain = ratio * a;
      const double clipped = std::fmin(std::fmax(ratio, 1 - p.gspo_clip), 1 + p.gspo_clip) * a;
      loss -= std::fmin(plain, clipped) / n;
      fill(d, s, plain <= clipped ? -plain / (d.weight_sum[s] * n) : 0);
    }
    return loss;
  }

  // Not a loss: reads as many columns as one needs and writes one, to show what memory alone costs.
  template <int Columns>
  static double stream(const rows<T>& d, std::size_t first, std::size_t last, const parameters&) {
    const std::size_t b = d.offset[first], e = d.offset[last - 1] + d.length[last - 1];
    for (std::size_t i = b; i < e; i += width) {
      R x = V::load(d.logprobs + i) + V::load(d.weight + i);
      if constexpr (Columns > 2) x += V::load(d.old + i);
      if constexpr (Columns > 3) x += V::load(d.reference + i);
      V::store(d.slope + i, x);
    }
    return 0;
  }

  // Sequences 2 p and 2 p + 1 are a pair, chosen first.
  static double dpo(const rows<T>& d, std::size_t first, std::size_t last, const parameters& p) {
    const double pairs = static_cast<double>(d.sequences) / 2;
    double loss = 0;
    for (std::size_t s = first; s < last; s += 2) {
      const double z = p.dpo_beta * (difference(d, d.reference, s) - difference(d, d.reference, s + 1));
      loss += (z > 0 ? std::log1p(std::exp(-z)) : std::log1p(std::exp(z)) - z) / pairs;
      const double slope = -p.dpo_beta / (1 + std::exp(z)) / pairs;
      fill(d, s, slope);
      fill(d, s + 1, -slope);
    }
    return loss;
  }
};

}  // namespace bench
