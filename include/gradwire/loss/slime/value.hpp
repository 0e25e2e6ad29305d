// SPDX-License-Identifier: Apache-2.0
// The critic's loss.            source: slime, slime/backends/megatron_utils/loss.py value_loss_function
//
//   L = Σ over sequences of mean_t max((v − R)², (v_old + clamp(v − v_old, −c, c) − R)²)          without the usual ½
//
// Divisor: Σ w of each sequence; the source divides by its global batch size later. Reads per token: values,
// old_values, returns (reward units), weights. Differentiated by values.
#pragma once

#include <gradwire/loss/parts/clipped_value.hpp>

namespace gradwire::inline v0 {
namespace slime {

struct value {
  static constexpr auto variable = fields::values;
  double value_clip = 0.2;  // c, how far the value may move, reward units

  constexpr auto operator()() const {
    using namespace fields;
    const auto moved = abs(values - old_values) > value_clip;
    return objective(sum_over_sequences(mean_over_tokens(clipped_square(values, old_values, returns, value_clip))),
                     metric<"value_clipfrac">(mean_over_sequences(mean_over_tokens(moved))));
  }
};

}  // namespace slime
}  // namespace gradwire::inline v0
