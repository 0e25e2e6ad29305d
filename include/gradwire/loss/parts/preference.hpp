// SPDX-License-Identifier: Apache-2.0
// What preference losses are made of. u = Σ_t w·(logprob − ref_logprob) per sequence (nats): the log ratio; c and j
// stand for the chosen and the rejected sequence of a pair, r = β·u for their rewards, z = r_c − r_j for the margin.
//
//   per sequence   log_ratio()                  u
//   per pair       of_pair(x)                      {x of chosen, x of rejected};  .margin() is their difference
//                  mean_per_token(p)            each side divided by its Σ w
//   of a margin    logistic(z, ε)               −(1−ε)·log σ(z) − ε·log σ(−z);  ε: assumed share of swapped labels
//                  robust_logistic(z, ε)        [−(1−ε)·log σ(z) + ε·log σ(−z)] / (1 − 2ε)      unbiased under swaps
//                  exo(z, ε)                    KL(σ(z) ‖ 1−ε): σ(z)·(log σ(z) − log(1−ε)) + σ(−z)·(log σ(−z) − log ε)
//                  discopop(z, τ)               −log σ(z)·(1 − σ(z/τ)) + e^(−z)·σ(z/τ)
//                  distance_to(d, target)       (d − target)²
//   metrics        with_rewards(loss, r)        chosen_reward, rejected_reward, margin = r_c − r_j, accuracy = [z > 0]
//
// A pair counts where either side has an unmasked token; metrics are means over these pairs.
#pragma once

#include <gradwire/expression.hpp>

namespace gradwire::inline v0 {

template <class Chosen, class Rejected>
struct pair_of {
  [[no_unique_address]] Chosen chosen;
  [[no_unique_address]] Rejected rejected;

  constexpr auto margin() const { return chosen - rejected; }
};
template <class Chosen, class Rejected>
constexpr pair_of<Chosen, Rejected> make_pair_of(const Chosen& chosen, const Rejected& rejected) {
  return {chosen, rejected};
}

// The two sequences' values of x, a per-sequence expression.
template <expression X>
constexpr auto of_pair(const X& x) {
  return make_pair_of(chosen(x), rejected(x));
}
template <operand Scale, class C, class R>
constexpr auto operator*(const Scale& scale, const pair_of<C, R>& pair) {
  return make_pair_of(scale * pair.chosen, scale * pair.rejected);
}
template <class C, class R>
constexpr auto mean_per_token(const pair_of<C, R>& pair) {
  const auto tokens = of_pair(terminals::weight_sum);
  return make_pair_of(divide_or_zero(pair.chosen, tokens.chosen), divide_or_zero(pair.rejected, tokens.rejected));
}

constexpr auto log_ratio() { return let<"log_ratio">(sum_over_tokens(fields::logprobs - fields::ref_logprobs)); }

// ---- losses of a margin --------------------------------------------------------------------------------------------

template <expression Z>
constexpr auto logistic(const Z& z, double label_smoothing = 0) {
  return (label_smoothing - 1) * log_sigmoid(z) - label_smoothing * log_sigmoid(-z);
}
template <expression Z>
constexpr auto robust_logistic(const Z& z, double label_smoothing) {
  return ((label_smoothing - 1) * log_sigmoid(z) + label_smoothing * log_sigmoid(-z)) / (1 - 2 * label_smoothing);
}
template <expression Z>
constexpr auto exo(const Z& z, double label_smoothing) {
  return sigmoid(z) * (log_sigmoid(z) - log(constant{1 - label_smoothing})) +
         sigmoid(-z) * (log_sigmoid(-z) - log(constant{label_smoothing}));
}
template <expression Z>
constexpr auto discopop(const Z& z, double temperature) {
  const auto share = z / temperature;
  return -log_sigmoid(z) * sigmoid(-share) + exp(log_sigmoid(share) - z);  // e^(−z)·σ(z/τ) without ∞·0
}
template <expression D>
constexpr auto distance_to(const D& difference, double target) {
  return square(difference - target);
}

// ---- without a reference -------------------------------------------------------------------------------------------

// −Σ w·logprob / Σ w over all tokens of the batch's chosen sequences.
constexpr auto chosen_nll() {
  return divide_or_zero(sum_over_groups(chosen(sum_over_tokens(-fields::logprobs))),
                        sum_over_groups(chosen(terminals::weight_sum)));
}
// log(p / (1 − p)) for a log probability x < 0.
template <expression X>
constexpr auto log_odds(const X& log_probability) {
  return log_probability - log1mexp(log_probability);
}

// ---- the objective -------------------------------------------------------------------------------------------------

// With the metrics that every preference loss has.
template <expression Loss, class C, class R, class... Metrics>
constexpr auto with_rewards(const Loss& loss, const pair_of<C, R>& reward, const Metrics&... more) {
  return objective(loss, metric<"chosen_reward">(mean_over_pairs(reward.chosen)),
                   metric<"rejected_reward">(mean_over_pairs(reward.rejected)),
                   metric<"margin">(mean_over_pairs(reward.margin())),
                   metric<"accuracy">(mean_over_pairs(reward.margin() > 0)), more...);
}

}  // namespace gradwire::inline v0
