// SPDX-License-Identifier: Apache-2.0
// KL terms per token, in nats; d = policy − reference (log ratio), r = a ratio to the policy that sampled.
//
//   term                                value              slope in the policy       on-policy, the slope is that of
//   k1(p, q)                            d                  1                         nothing: its mean is 0
//   absolute_log_ratio(p, q)            |d|                sgn d
//   k2(p, q)                            d²/2               d                         KL(policy ‖ reference)
//   squared_log_ratio(p, q)             d²                 2d                        2·KL(policy ‖ reference)
//   k3(p, q)                            e^(−d) + d − 1     1 − e^(−d)                KL(reference ‖ policy)
//   k3_times_ratio(p, q, r)             r·k3               r·k3 + r(1 − e^(−d))      KL(policy ‖ reference)
//   ratio_times_log_ratio(p, q, r)      r·d                r(1 + d)                  KL(policy ‖ reference)
//   k3_with_k2_gradient(p, q)           e^(−d) + d − 1     d                         KL(policy ‖ reference)
//
// Each takes clamps as its source has them: clamp_log_ratio{20} of ±d first, clamp_value{10} of the result. A clamp has
// no slope outside. k1, k2, k3 without clamps are those of expression/functions.hpp.
// Source: Schulman, "Approximating KL Divergence"
#pragma once

#include <gradwire/loss/parts/log_clamp.hpp>

namespace gradwire::inline v0 {

// clang-format off
template <expression P, expression Q, formula::clamp_tag C, formula::clamp_tag... Cs>
constexpr auto k1(const P& policy, const Q& reference, C clamp, Cs... clamps) {
  return formula::clamped_by<clamp_value>(formula::clamped_by<clamp_log_ratio>(k1(policy, reference), clamp, clamps...), clamp, clamps...);
}
template <expression P, expression Q, formula::clamp_tag... Cs>
constexpr auto absolute_log_ratio(const P& policy, const Q& reference, Cs... clamps) {
  return formula::clamped_by<clamp_value>(abs(formula::clamped_by<clamp_log_ratio>(policy - reference, clamps...)), clamps...);
}
template <expression P, expression Q, formula::clamp_tag C, formula::clamp_tag... Cs>
constexpr auto k2(const P& policy, const Q& reference, C clamp, Cs... clamps) {
  return formula::clamped_by<clamp_value>(0.5 * square(formula::clamped_by<clamp_log_ratio>(policy - reference, clamp, clamps...)), clamp, clamps...);
}
template <expression P, expression Q, formula::clamp_tag... Cs>
constexpr auto squared_log_ratio(const P& policy, const Q& reference, Cs... clamps) {
  return formula::clamped_by<clamp_value>(square(formula::clamped_by<clamp_log_ratio>(policy - reference, clamps...)), clamps...);
}
template <expression P, expression Q, formula::clamp_tag C, formula::clamp_tag... Cs>
constexpr auto k3(const P& policy, const Q& reference, C clamp, Cs... clamps) {
  auto d = formula::clamped_by<clamp_log_ratio>(policy - reference, clamp, clamps...);
  return formula::clamped_by<clamp_value>(make_node<k3_op>(-d), clamp, clamps...);
}
template <expression P, expression Q, expression R, formula::clamp_tag... Cs>
constexpr auto k3_times_ratio(const P& policy, const Q& reference, const R& ratio, Cs... clamps) {
  return ratio * k3(policy, reference, clamps...);
}
template <expression P, expression Q, expression R, formula::clamp_tag... Cs>
constexpr auto ratio_times_log_ratio(const P& policy, const Q& reference, const R& ratio, Cs... clamps) {
  return formula::clamped_by<clamp_value>(ratio * formula::clamped_by<clamp_log_ratio>(policy - reference, clamps...), clamps...);
}
// Straight-through: what verl's "k3+" means (it raises NotImplementedError there).
template <expression P, expression Q, formula::clamp_tag... Cs>
constexpr auto k3_with_k2_gradient(const P& policy, const Q& reference, Cs... clamps) {
  return value_of(k3(policy, reference, clamps...)).gradient_of(k2(policy, reference));
}
// beta·kl, and nothing at beta = 0, where sources do not compute it (an infinite KL would make NaN of 0·∞).
template <expression K>
constexpr auto weighted_kl(double beta, const K& kl) {
  return where(constant{beta} == 0, 0.0, beta * kl);
}
// clang-format on

}  // namespace gradwire::inline v0
