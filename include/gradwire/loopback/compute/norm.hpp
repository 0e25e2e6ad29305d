// SPDX-License-Identifier: Apache-2.0
// RMSNorm: y = x · w / sqrt(mean(x²) + eps), and its gradients.
#pragma once

#include <cmath>
#include <cstddef>

#include <gradwire/loopback/compute/lanes.hpp>

namespace gradwire::inline v0 {
namespace loopback {

// 1 / sqrt(mean(x²) + eps)
template <class T>
inline T inverse_root_mean_square(const T* x, std::size_t n, T eps) {
  const T squares = sum_over_lanes<T>(n, [&]<class V>(std::size_t i) {
    const V value = load<V>(x + i);
    return V(value * value);
  });
  return T{1} / std::sqrt(squares / static_cast<T>(n) + eps);
}

template <class T>
inline void rms_norm(const T* x, const T* weight, T* y, std::size_t n, T eps) {
  const T scale = inverse_root_mean_square(x, n, eps);
  for_lanes<T>(n, [&]<class V>(std::size_t i) { store<V>(y + i, load<V>(x + i) * scale * load<V>(weight + i)); });
}

// dx = w dy · s - x · s³ mean(w dy x) with s = 1 / sqrt(mean(x²) + eps), and dweight += dy x s (unless null).
// Adds to dx or, with Accumulate = false, overwrites it; dx may be dy.
template <class T, bool Accumulate>
inline void rms_norm_backward(const T* x, const T* weight, const T* dy, T* dx, T* dweight, std::size_t n, T eps) {
  const T scale = inverse_root_mean_square(x, n, eps);
  const T dot = sum_over_lanes<T>(
      n, [&]<class V>(std::size_t i) { return V(load<V>(weight + i) * load<V>(dy + i) * load<V>(x + i)); });
  const T along = scale * scale * scale * dot / static_cast<T>(n);
  if (dweight)
    for_lanes<T>(n, [&]<class V>(std::size_t i) {
      store<V>(dweight + i, load<V>(dweight + i) + load<V>(dy + i) * load<V>(x + i) * scale);
    });
  for_lanes<T>(n, [&]<class V>(std::size_t i) {
    const V slope = load<V>(weight + i) * load<V>(dy + i) * scale - load<V>(x + i) * along;
    if constexpr (Accumulate)
      store<V>(dx + i, load<V>(dx + i) + slope);
    else
      store<V>(dx + i, slope);
  });
}

}  // namespace loopback
}  // namespace gradwire::inline v0
