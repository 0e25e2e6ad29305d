// SPDX-License-Identifier: Apache-2.0
// AdamW on flat arrays, as torch.optim.AdamW:
//   w -= lr · decay · w;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g²
//   w -= lr / (1 - b1ᵗ) · m / (sqrt(v) / sqrt(1 - b2ᵗ) + eps)
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include <gradwire/loopback/compute/lanes.hpp>

namespace gradwire::inline v0 {
namespace loopback {

struct adam_factors {
  float keep = 1;        // 1 - lr · decay
  float beta1 = 0;       //
  float beta2 = 0;       //
  float rate = 0;        // lr / (1 - b1ᵗ)
  float correction = 1;  // 1 / sqrt(1 - b2ᵗ)
  float eps = 0;         //
  float gradient = 1;    // what clipping multiplies the gradient with
};

struct adam_norms {  // sums of squares
  double update = 0;
  double parameters = 0;
};

inline double sum_of_squares(const float* x, std::size_t n) {
  double total = 0;
  for (std::size_t begin = 0; begin < n; begin += 4096) {
    const std::size_t size = std::min<std::size_t>(4096, n - begin);
    total += static_cast<double>(sum_over_lanes<float>(size, [&]<class V>(std::size_t i) {
      const V value = load<V>(x + begin + i);
      return V(value * value);
    }));
  }
  return total;
}

// Moments of a parameter that gets no gradient any more would decay into denormal numbers and stay there, which costs
// some processors a hundred cycles each.
template <class V>
[[gnu::always_inline]] inline V flushed(const V& x) {
  const V size = x < V{} ? -x : x;
  return size < broadcast<V>(1e-37F) ? V{} : x;
}

// One step for n parameters. Squares are summed in float over short blocks and in double over all.
inline adam_norms adam_update(const adam_factors& f, const float* gradient, float* parameter, float* first,
                              float* second, std::size_t n) {
  adam_norms norms;
  for (std::size_t begin = 0; begin < n; begin += 4096) {
    const std::size_t size = std::min<std::size_t>(4096, n - begin);
    lanes<float> update_lanes{}, parameter_lanes{};
    float update_tail = 0, parameter_tail = 0;
    for_lanes<float>(size, [&]<class V>(std::size_t i) {
      const std::size_t at = begin + i;
      const V g = load<V>(gradient + at) * f.gradient;
      const V m = flushed<V>(load<V>(first + at) * f.beta1 + g * (1 - f.beta1));
      const V v = flushed<V>(load<V>(second + at) * f.beta2 + g * g * (1 - f.beta2));
      const V before = load<V>(parameter + at);
      const V after = before * f.keep - m / (square_root<V>(v) * f.correction + f.eps) * f.rate;
      store<V>(first + at, m);
      store<V>(second + at, v);
      store<V>(parameter + at, after);
      const V change = after - before;
      if constexpr (std::is_same_v<V, float>) {
        update_tail += change * change, parameter_tail += after * after;
      } else {
        update_lanes += change * change, parameter_lanes += after * after;
      }
    });
    norms.update += static_cast<double>(sum_of_lanes(update_lanes) + update_tail);
    norms.parameters += static_cast<double>(sum_of_lanes(parameter_lanes) + parameter_tail);
  }
  return norms;
}

}  // namespace loopback
}  // namespace gradwire::inline v0
