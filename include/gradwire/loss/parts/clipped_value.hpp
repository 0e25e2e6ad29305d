// SPDX-License-Identifier: Apache-2.0
// A critic's squared error, with the step from its old values clipped.          source: PPO, arXiv:1707.06347 (code)
//
//   clipped_square(v, v_old, R, c)      max((v − R)², (v_old + clamp(v − v_old, −c, c) − R)²)      reward units²
//   clip_won(v, v_old, R, c)            is the second the larger?
#pragma once

#include <gradwire/expression.hpp>

namespace gradwire::inline v0 {

template <expression V, expression Old, expression R>
constexpr auto clipped_square(const V& value, const Old& old, const R& target, double clip) {
  const auto clipped = old + clamp(value - old, -clip, clip);
  return max(square(value - target), square(clipped - target));
}
template <expression V, expression Old, expression R>
constexpr auto clip_won(const V& value, const Old& old, const R& target, double clip) {
  const auto clipped = old + clamp(value - old, -clip, clip);
  return square(clipped - target) > square(value - target);
}

}  // namespace gradwire::inline v0
