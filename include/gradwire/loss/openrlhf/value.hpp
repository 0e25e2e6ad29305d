// SPDX-License-Identifier: Apache-2.0
// The critic's loss.                                                            source: OpenRLHF, models/loss.py
// ValueLoss
//
//   value:            L = ½·Σ w·max((v − R)², (v_old + clamp(v − v_old, −c, c) − R)²) / Σ w
//   value_unclipped:  L = ½·Σ w·(v − R)² / Σ w                                    clip_eps None
//
// Divisor: all tokens of the batch. Reads per token: values, old_values (unclipped: not), returns (reward units),
// weights. Differentiated by values.
#pragma once

#include <gradwire/loss/parts/clipped_value.hpp>

namespace gradwire::inline v0 {
namespace openrlhf {

struct value {
  static constexpr auto variable = fields::values;
  double clip_eps = 0.5;  // c, how far the value may move, reward units

  constexpr auto operator()() const {
    using namespace fields;
    return objective(0.5 * mean_over_all_tokens(clipped_square(values, old_values, returns, clip_eps)),
                     metric<"clip_frac">(mean_over_all_tokens(clip_won(values, old_values, returns, clip_eps))));
  }
};

struct value_unclipped {
  static constexpr auto variable = fields::values;
  constexpr auto operator()() const { return 0.5 * mean_over_all_tokens(square(fields::values - fields::returns)); }
};

}  // namespace openrlhf
}  // namespace gradwire::inline v0
