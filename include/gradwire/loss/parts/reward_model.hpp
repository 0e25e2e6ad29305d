// SPDX-License-Identifier: Apache-2.0
// A reward model's scores of a pair, with the metrics that its losses share: accuracy = [s_c > s_j], margin = s_c −
// s_j.
#pragma once

#include <gradwire/loss/parts/preference.hpp>

namespace gradwire::inline v0 {

template <expression Loss, class C, class R>
constexpr auto with_scores(const Loss& loss, const pair_of<C, R>& score) {
  return objective(loss, metric<"margin">(mean_over_pairs(score.margin())),
                   metric<"accuracy">(mean_over_pairs(score.margin() > 0)),
                   metric<"mean_reward">(0.5 * mean_over_pairs(score.chosen + score.rejected)));
}

}  // namespace gradwire::inline v0
