// SPDX-License-Identifier: Apache-2.0
// A reward model's pairwise loss.                                               source: TRL, trainer/reward_trainer.py
//
//   L = mean over pairs [ −log σ(s_c − s_j − margin) + c·(s_c + s_j)² ]
//
// Divisor: pairs. Reads per sequence: score (reward units). Differentiated by score. Data: group(chosen(c),
// rejected(r)).
#pragma once

#include <gradwire/loss/parts/reward_model.hpp>

namespace gradwire::inline v0 {
namespace trl {

struct reward {
  using breaks_contract = broken<breaks<rule::empty, "a score is of the whole sequence, whatever its weights">>;
  static constexpr auto variable = fields::score;
  double margin = 0.0;                      // how far apart the scores should be, reward units
  double center_rewards_coefficient = 0.0;  // c, pulls the scores' mean to 0, per reward unit²

  constexpr auto operator()() const {
    const auto score = of_pair(fields::score);
    const auto off_center = square(score.chosen + score.rejected);
    const auto loss = logistic(score.margin() - margin) + center_rewards_coefficient * off_center;
    return with_scores(mean_over_pairs(loss), score);
  }
};

}  // namespace trl
}  // namespace gradwire::inline v0
