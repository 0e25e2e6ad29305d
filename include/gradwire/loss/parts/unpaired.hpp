// SPDX-License-Identifier: Apache-2.0
// Preference losses over single sequences that are desirable or not (per-sequence column `desirable`: ≠ 0 or 0).
//
//   kto_loss(a, b, β)                       1 − σ(β(a − b))
//   unpaired(good, bad, reward)             mean over sequences of good where desirable ≠ 0, else bad, with metrics
//   mean_over_kind(x, desirable)            mean of x over the sequences of one kind; 0 where there are none
//
// Only sequences with any w ≠ 0 count. Metrics: chosen_reward (of the desirable), rejected_reward, margin: their
// difference.
#pragma once

#include <gradwire/loss/parts/preference.hpp>

namespace gradwire::inline v0 {

template <expression A, expression B>
constexpr auto kto_loss(const A& a, const B& b, double beta) {
  return sigmoid(beta * (b - a));
}

template <expression X>
constexpr auto mean_over_kind(const X& x, bool desirable) {
  const auto good = where(fields::desirable == 0, 0.0, 1.0);
  const auto share = desirable ? 0.0 + 1.0 * good : 1.0 + -1.0 * good;
  const auto counted = where(terminals::weight_count > 0, share, 0.0);
  return divide_or_zero(sum_over_sequences(counted * x), sum_over_sequences(counted));
}

template <expression Good, expression Bad, expression Reward, class... Metrics>
constexpr auto unpaired(const Good& good, const Bad& bad, const Reward& reward, const Metrics&... more) {
  const auto chosen_reward = mean_over_kind(reward, true), rejected_reward = mean_over_kind(reward, false);
  return objective(mean_over_sequences(where(fields::desirable == 0, bad, good)),
                   metric<"chosen_reward">(chosen_reward), metric<"rejected_reward">(rejected_reward),
                   metric<"margin">(chosen_reward - rejected_reward), more...);
}

}  // namespace gradwire::inline v0
