// SPDX-License-Identifier: Apache-2.0
// SwiGLU: y = silu(gate) · up with silu(x) = x / (1 + exp(-x)). A row holds the gates, then the ups.
#pragma once

#include <cstddef>

#include <gradwire/loopback/compute/lanes.hpp>

namespace gradwire::inline v0 {
namespace loopback {

template <class T>
inline void swiglu(const T* gate_up, T* y, std::size_t n) {
  for_lanes<T>(n, [&]<class V>(std::size_t i) {
    const V gate = load<V>(gate_up + i);
    store<V>(y + i, gate / (T{1} + exponential<V>(-gate)) * load<V>(gate_up + n + i));
  });
}

// Both halves of dgate_up from dy.
template <class T>
inline void swiglu_backward(const T* gate_up, const T* dy, T* dgate_up, std::size_t n) {
  for_lanes<T>(n, [&]<class V>(std::size_t i) {
    const V gate = load<V>(gate_up + i), up = load<V>(gate_up + n + i), slope = load<V>(dy + i);
    const V sigmoid = T{1} / (T{1} + exponential<V>(-gate));
    const V silu = gate * sigmoid;
    store<V>(dgate_up + n + i, slope * silu);
    store<V>(dgate_up + i, slope * up * (sigmoid + silu * (T{1} - sigmoid)));
  });
}

}  // namespace loopback
}  // namespace gradwire::inline v0
