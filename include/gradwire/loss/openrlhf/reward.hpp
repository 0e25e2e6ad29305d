// SPDX-License-Identifier: Apache-2.0
// A reward model's pairwise loss.               source: OpenRLHF, models/loss.py PairWiseLoss, LogExpLoss
//
//   L = mean over pairs −log σ(s_c − s_j − margin)          (LogExpLoss, log(1 + e^(s_j − s_c)), is the same at margin
//   0)
//
// Divisor: pairs. Reads per sequence: score (reward units). Differentiated by score. Data: group(chosen(c),
// rejected(r)).
#pragma once

#include <gradwire/loss/parts/reward_model.hpp>

namespace gradwire::inline v0 {
namespace openrlhf {

struct reward {
  using breaks_contract = broken<breaks<rule::empty, "a score is of the whole sequence, whatever its weights">>;
  static constexpr auto variable = fields::score;
  double margin = 0.0;  // how far apart the scores should be, reward units

  constexpr auto operator()() const {
    const auto score = of_pair(fields::score);
    return with_scores(mean_over_pairs(logistic(score.margin() - margin)), score);
  }
};

}  // namespace openrlhf
}  // namespace gradwire::inline v0
