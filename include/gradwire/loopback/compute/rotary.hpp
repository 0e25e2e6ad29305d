// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding: at position p the pair (x[i], x[i + d/2]) of a head turns by the angle p · theta^(-2i/d).
#pragma once

#include <cmath>
#include <cstddef>
#include <type_traits>

#include <gradwire/loopback/compute/buffer.hpp>
#include <gradwire/loopback/compute/lanes.hpp>
#include <gradwire/loopback/compute/norm.hpp>

namespace gradwire::inline v0 {
namespace loopback {

// cos and sin for positions [0, positions): row p holds d/2 cosines, then d/2 sines. The float table is computed as
// Hugging Face does, the frequencies and the angles rounded to float, so that long sequences agree.
template <class T>
class rotary_table {
 public:
  rotary_table() = default;
  rotary_table(std::size_t positions, std::size_t head_dim, double theta)
      : positions_(positions), head_dim_(head_dim), values_(positions * head_dim) {
    const std::size_t half = head_dim / 2;
    for (std::size_t i = 0; i < half; ++i) {
      const T exponent = static_cast<T>(2 * i) / static_cast<T>(head_dim);
      const T frequency = T{1} / std::pow(static_cast<T>(theta), exponent);
      for (std::size_t p = 0; p < positions; ++p) {
        const double angle = static_cast<double>(static_cast<T>(p) * frequency);
        values_[p * head_dim + i] = static_cast<T>(std::cos(angle));
        values_[p * head_dim + half + i] = static_cast<T>(std::sin(angle));
      }
    }
  }

  std::size_t positions() const { return positions_; }
  const T* row(std::size_t position) const { return values_.data() + position * head_dim_; }

 private:
  std::size_t positions_ = 0, head_dim_ = 0;
  buffer<T> values_;
};

// y = rotate(rms_norm(x)) for one head of one token.
template <class T>
inline void norm_and_rotate(const T* x, const T* weight, const T* rotation, T* y, std::size_t head_dim, T eps) {
  const std::size_t half = head_dim / 2;
  const T scale = inverse_root_mean_square(x, head_dim, eps);
  for_lanes<T>(half, [&]<class V>(std::size_t i) {
    const V a = load<V>(x + i) * scale * load<V>(weight + i);
    const V b = load<V>(x + half + i) * scale * load<V>(weight + half + i);
    const V cosine = load<V>(rotation + i), sine = load<V>(rotation + half + i);
    store<V>(y + i, a * cosine - b * sine);
    store<V>(y + half + i, b * cosine + a * sine);
  });
}

// dx from dy, which may be the same memory; dweight accumulates unless it is null.
template <class T>
inline void norm_and_rotate_backward(const T* x, const T* weight, const T* rotation, const T* dy, T* dx, T* dweight,
                                     std::size_t head_dim, T eps) {
  const std::size_t half = head_dim / 2;
  for_lanes<T>(half, [&]<class V>(std::size_t i) {
    const V a = load<V>(dy + i), b = load<V>(dy + half + i);
    const V cosine = load<V>(rotation + i), sine = load<V>(rotation + half + i);
    store<V>(dx + i, a * cosine + b * sine);
    store<V>(dx + half + i, b * cosine - a * sine);
  });
  rms_norm_backward<T, false>(x, weight, dx, dx, dweight, head_dim, eps);
}

}  // namespace loopback
}  // namespace gradwire::inline v0
