// SPDX-License-Identifier: Apache-2.0
// The critic's loss.                            source: verl, verl/trainer/ppo/core_algos.py compute_value_loss
//
//   L = ½·Σ w·max((v − R)², (clamp(v, v_old ± c) − R)²) / Σ w
//
// Divisor: all tokens of the batch (loss_agg_mode token-mean; seq_mean_token_sum: sequences with any w ≠ 0).
// Reads per token: values, old_values, returns (reward units), weights. Differentiated by values.
#pragma once

#include <gradwire/loss/parts/clipped_value.hpp>
#include <gradwire/loss/parts/reduction.hpp>

namespace gradwire::inline v0 {
namespace verl {

template <auto Reduce = token_mean>
struct value {
  static constexpr auto variable = fields::values;
  double cliprange_value = 0.5;  // c, how far the value may move, reward units

  constexpr auto operator()() const {
    using namespace fields;
    return objective(
        0.5 * Reduce(clipped_square(values, old_values, returns, cliprange_value)),
        metric<"vf_clipfrac">(mean_over_all_tokens(clip_won(values, old_values, returns, cliprange_value))));
  }
};
using value_seq_mean_token_sum = value<sequence_mean_token_sum>;

}  // namespace verl
}  // namespace gradwire::inline v0
