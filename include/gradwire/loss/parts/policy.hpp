// SPDX-License-Identifier: Apache-2.0
// What policy losses are made of. Gains are to be maximised (a loss is −gain); at A = 0 they are exactly 0, also where
// the ratio overflows. r: ratio, A: advantage (reward units), low and high: thresholds of r itself (1 − ε, 1 + ε).
//
//   ppo_clip      min(r·A, clip(r, low, high)·A)                        one comparison a side, since A's sign decides
//   ratio_gain    r·A, without a clip
//   dual_clip     … and for A < 0 not below c·A                         arXiv:1912.09729
//   two_sided     min(min(r, δ)·A, clip(r, low, high)·A)                caps r for both signs
//   cispo_weight  sg(clip(r, low, high)), before A·logprob              arXiv:2506.13585
//   sapo_gate     σ(τ·(r − 1))·4/τ, τ = τ₊ if A > 0 else τ₋             arXiv:2511.20347
//   gmpo_log_ratio  sgn(A)·min(sgn(A)·d, sgn(A)·clip(d, −ε_low, ε_high)) of a log ratio d      arXiv:2507.20673
//   tv_keep       false where (A > 0 and p − q > δ_high) or (A < 0 and q − p > δ_low)   p = e^logprob, q = e^behaviour
//   kl_keep       false where p moved on in the direction of A and the binary KL of (q, 1−q) to (p, 1−p) exceeds δ
//                                                                       arXiv:2602.04879
#pragma once

#include <gradwire/expression.hpp>

namespace gradwire::inline v0 {

// Which side binds follows from the sign of A, so the bounds are chosen once a sequence and a token needs one clamp.
template <expression R, expression A>
constexpr auto ppo_clip(const R& ratio, const A& advantage, double low, double high) {
  constexpr double none = __builtin_huge_val();
  if constexpr (A::level <= extent::token)
    return where(advantage < 0, max(ratio, low), min(ratio, high)) * advantage;
  else
    return clamp(ratio, where(advantage < 0, low, -none), where(advantage < 0, none, high)) * advantage;
}

template <expression R, expression A>
constexpr auto ratio_gain(const R& ratio, const A& advantage) {
  return where(advantage == 0, 0.0, ratio) * advantage;
}

template <expression R, expression A>
constexpr auto dual_clip(const R& ratio, const A& advantage, double low, double high, double c) {
  constexpr double none = __builtin_huge_val();
  if constexpr (A::level <= extent::token)
    return where(advantage < 0, min(max(ratio, low), c), min(ratio, high)) * advantage;
  else
    return clamp(ratio, where(advantage < 0, low, -none), where(advantage < 0, c, high)) * advantage;
}

template <expression R, expression A>
constexpr auto two_sided(const R& ratio, const A& advantage, double low, double high, double delta) {
  const auto capped = min(ratio, delta);
  return where(advantage < 0, max(capped, clamp(ratio, low, high)), min(capped, high)) * advantage;
}

template <expression R>
constexpr auto cispo_weight(const R& ratio, double low, double high) {
  return stop_gradient(clamp(ratio, low, high));
}

template <expression R, expression A>
constexpr auto sapo_gate(const R& ratio, const A& advantage, double tau_positive, double tau_negative) {
  const auto tau = where(advantage > 0, tau_positive, tau_negative);
  return sigmoid(min(tau * (ratio - 1), 800.0)) * (4.0 / tau);  // flat beyond e^-800, also where the ratio overflows
}

template <expression D, expression A>
constexpr auto gmpo_log_ratio(const D& log_ratio, const A& advantage, double low, double high) {
  return where(advantage < 0, max(log_ratio, -low), where(advantage > 0, min(log_ratio, high), 0.0));
}

template <expression P, expression Q, expression A>
constexpr auto tv_keep(const P& logprob, const Q& behaviour, const A& advantage, double low, double high) {
  const auto moved = exp(logprob) - exp(behaviour);
  return !((advantage > 0 && moved > high) || (advantage < 0 && -moved > low));
}

// The binary KL with 1e-8 added to both complements, so that a probability of 1 is finite.
template <expression P, expression Q>
constexpr auto binary_kl(const P& logprob, const Q& behaviour) {
  const auto p = exp(logprob), q = exp(behaviour);
  return (1 - q) * log((1 - q + 1e-8) / (1 - p + 1e-8)) - q * (logprob - behaviour);
}
template <expression P, expression Q, expression A>
constexpr auto kl_keep(const P& logprob, const Q& behaviour, const A& advantage, double low, double high) {
  const auto moved = exp(logprob) - exp(behaviour);
  const auto divergence = binary_kl(logprob, behaviour);
  return !((advantage > 0 && moved > 0 && divergence > high) || (advantage < 0 && moved < 0 && divergence > low));
}

}  // namespace gradwire::inline v0
