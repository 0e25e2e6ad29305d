// SPDX-License-Identifier: Apache-2.0
// What verl's losses share: its masked mean, whose divisor has 1e-8 added (its metrics are such means), its division by
// a constant length, and the terms that several presets have. Source: verl, verl/trainer/ppo/core_algos.py
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>

namespace gradwire::inline v0 {
namespace verl {

inline constexpr auto masked_mean = token_mean_with_epsilon;

// L of the modes that divide by a constant length; 0: the number of positions of the longest sequence, which is what
// the source's padded width is.
constexpr auto width(double length) {
  const auto longest = max(max_over_sequences(terminals::sequence_length), 1.0);
  const double unset = length > 0 ? 0 : 1;
  return unset * longest + length;
}
// Σ_i Σ_t w·x / L: "seq-mean-token-sum-norm" of verl up to 0.7.0.
struct token_sum_per_width {
  double length;  // L, tokens
  template <expression X>
  constexpr auto operator()(const X& x) const {
    return token_sum(x) / width(length);
  }
};
// Σ_i Σ_t w·x / (B·L), B: the sequences with any w ≠ 0: "seq-mean-token-sum-norm" of verl from 0.7.1 on.
struct sequence_mean_token_sum_per_width {
  double length;  // L, tokens
  template <expression X>
  constexpr auto operator()(const X& x) const {
    return sequence_mean_token_sum(x) / width(length);
  }
};

// PPO with dual clip of the ratio to a behaviour policy, log ratio clamped to ±20.
template <expression Behaviour>
constexpr auto clipped(const Behaviour& behaviour, offset below, offset above, bound c) {
  using fields::advantage, fields::logprobs;
  const auto r = let<"ratio">(clamped_ratio(logprobs, behaviour, 20));
  return surrogate(-gradwire::dual_clip(r, advantage, low(below), high(above), high(c)),
                   clip_metrics<masked_mean>(r, advantage, low(below), high(above)),
                   dual_clip_frac<masked_mean>(r, advantage, low(below), high(c)),
                   drift_metrics<masked_mean>(logprobs, behaviour));
}
constexpr auto vanilla_term(offset below, offset above, bound c) {
  return clipped(fields::old_logprobs, below, above, c);
}

// The detached, capped ratio weighs the policy gradient of the tokens that the mask keeps.
template <truth Keep>
constexpr auto divergence_term(const Keep& keep, bound cap) {
  using namespace fields;
  const auto weight = min(stop_gradient(clamped_ratio(logprobs, old_logprobs, 20)), high(cap));
  return surrogate(-kept(keep, weight) * advantage * logprobs, dropped_frac<masked_mean>(keep),
                   drift_metrics<masked_mean>(logprobs, old_logprobs));
}

// Rejection sampling: the divisor is the number of tokens that are kept.
template <truth Keep, class X, class Metrics>
constexpr auto rejected_by(const Keep& keep, const surrogate_t<X, Metrics>& s) {
  return objective_with(token_mean_where(keep, s.x), s.metrics, dropped_frac<masked_mean>(keep));
}
// Its statistics (rollout_rs), of a token's log ratio, and what is made of them for a sequence. A token or sequence
// stays while the statistic is ≤ a threshold; the two of k1 are on 1/ρ, not on ρ.
inline constexpr auto log_of = [] {
  return log_rho(fields::old_logprobs, fields::sampler_logprobs, clamp_log_ratio{20});
};
inline constexpr auto k1_of = [] { return -log_of(); };
inline constexpr auto k2_of = [] { return 0.5 * square(log_of()); };
inline constexpr auto k3_of = [] { return make_node<k3_op>(log_of()); };
inline constexpr auto of_token = [](auto x) { return x; };
inline constexpr auto summed = [](auto x) { return sum_over_tokens(x); };
inline constexpr auto averaged = [](auto x) { return sum_over_tokens(x) / (terminals::weight_sum + 1e-8); };
inline constexpr auto largest_of = [](auto x) { return max_over_tokens(x); };

}  // namespace verl
}  // namespace gradwire::inline v0
