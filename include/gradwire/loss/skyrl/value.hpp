// SPDX-License-Identifier: Apache-2.0
// The critic's loss.            source: SkyRL, skyrl/backends/skyrl_train/utils/ppo_utils.py ppo_critic_loss
//
//   L = ½·mean over sequences of mean_t max((v − R)², (v_old + clamp(v − v_old, −c, c) − R)²)
//
// Divisors: Σ w of each sequence; every sequence, all-masked ones too. Reads per token: values, old_values, returns
// (reward units), weights. Differentiated by values.
#pragma once

#include <gradwire/loss/parts/clipped_value.hpp>
#include <gradwire/loss/parts/reduction.hpp>

namespace gradwire::inline v0 {
namespace skyrl {

struct value {
  static constexpr auto variable = fields::values;
  double value_clip = 0.2;  // c, how far the value may move, reward units

  constexpr auto operator()() const {
    using namespace fields;
    return objective(0.5 * sequence_mean_of_all(clipped_square(values, old_values, returns, value_clip)),
                     metric<"clipfrac">(mean_over_all_tokens(clip_won(values, old_values, returns, value_clip))));
  }
};

}  // namespace skyrl
}  // namespace gradwire::inline v0
