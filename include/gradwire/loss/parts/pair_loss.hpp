// SPDX-License-Identifier: Apache-2.0
// Losses of a pair as values, for presets that are templates over them: Loss(score, u, β). score is the pair of scores
// of an f-divergence (u itself for the reverse KL), u the pair of log ratios Σ_t w·(logprob − ref_logprob), nats.
//
//   pair_loss::logistic_margin   −log σ(β(s_c − s_j))
//   pair_loss::hinge             max(0, 1 − β(s_c − s_j))
//   pair_loss::logistic_average  −log σ(β(s_c/|y_c| − s_j/|y_j|))              β per nat of the mean over tokens
//   pair_loss::ipo               (s_c/|y_c| − s_j/|y_j| − 1/(2β))²             β per nat of the mean over tokens
//   pair_loss::nca               −log σ(βs_c) − ½·log σ(−βs_c) − ½·log σ(−βs_j)
//   pair_loss::bco               −log σ(βs_c) − log σ(−βs_j)
//   pair_loss::sppo_hard         (s_c − 1/(2β))² + (s_j + 1/(2β))²
//   pair_loss::apo_zero          1 − σ(βu_c) + σ(βu_j)                         chosen is better than the model
//   pair_loss::apo_down          σ(βu_c) + 1 − σ(β(s_c − s_j))                 chosen is worse than the model
//
//   divergence::reverse_kl   u              divergence::forward_kl      −e^(−u)
//   divergence::js           log σ(u)       divergence::alpha(u, α)     e^((α−1)·u) / (α − 1), and u at α = 1
//
// |y| = Σ w. Source: TRL, trainer/dpo_trainer.py; the scores: arXiv:2309.16240.
#pragma once

#include <gradwire/loss/parts/preference.hpp>

namespace gradwire::inline v0 {

namespace divergence {

inline constexpr auto reverse_kl = [](const auto& u) { return u; };
inline constexpr auto forward_kl = [](const auto& u) { return -exp(-u); };
inline constexpr auto js = [](const auto& u) { return log_sigmoid(u); };

// The exponent is at most 80, as the source clamps it for float32; the score is then flat.
template <expression U>
constexpr auto alpha(const U& u, double coefficient) {
  const constant power{coefficient - 1};
  return where(abs(power) < 1e-6, u, exp(min(power * u, 80.0)) / power);
}

// A score of both sides.
template <class Score, class C, class R>
constexpr auto of_both(const Score& score, const pair_of<C, R>& pair) {
  return make_pair_of(score(pair.chosen), score(pair.rejected));
}

}  // namespace divergence

namespace pair_loss {

inline constexpr auto logistic_margin = [](const auto& score, const auto&, double beta) {
  return logistic(beta * score.margin());
};
inline constexpr auto hinge = [](const auto& score, const auto&, double beta) {
  return max(1 - beta * score.margin(), 0.0);
};
inline constexpr auto logistic_average = [](const auto& score, const auto&, double beta) {
  return logistic(beta * mean_per_token(score).margin());
};
inline constexpr auto ipo = [](const auto& score, const auto&, double beta) {
  return distance_to(mean_per_token(score).margin(), 1 / (2 * beta));
};
inline constexpr auto nca = [](const auto& score, const auto&, double beta) {
  const auto reward = beta * score;
  return -log_sigmoid(reward.chosen) - 0.5 * log_sigmoid(-reward.chosen) - 0.5 * log_sigmoid(-reward.rejected);
};
inline constexpr auto bco = [](const auto& score, const auto&, double beta) {
  return -log_sigmoid(beta * score.chosen) - log_sigmoid(-beta * score.rejected);
};
inline constexpr auto sppo_hard = [](const auto& score, const auto&, double beta) {
  return distance_to(score.chosen, 1 / (2 * beta)) + distance_to(score.rejected, -1 / (2 * beta));
};
inline constexpr auto apo_zero = [](const auto&, const auto& u, double beta) {
  return sigmoid(-beta * u.chosen) + sigmoid(beta * u.rejected);
};
inline constexpr auto apo_down = [](const auto& score, const auto& u, double beta) {
  return sigmoid(beta * u.chosen) + sigmoid(-beta * score.margin());
};

}  // namespace pair_loss
}  // namespace gradwire::inline v0
