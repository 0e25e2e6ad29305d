// SPDX-License-Identifier: Apache-2.0
// Advantages from the rewards of a group, one value a sequence. All are exactly 0 where the group's rewards are equal.
//
//   centred(s)                        s − mean of the group                                   0 in a group of one
//   raw_alone(x, s)                   x, and in a group of one the raw reward s               (mean taken as 0)
//   standardised(s, spread, ε)        (s − mean) / (spread + ε)
//   standardised_or_raw(s, spread, ε, scaled)   … with mean 0 and spread 1 in a group of one; scaled = false: by 1
//   leave_one_out(s)                  (s − mean)·n/(n − 1) = s − mean of the others           0 in a group of one
//   soft_overlong(L, L_max, C)        0 up to L_max − C, then (L_max − C − L)/C, at least −1  (to be added to a reward)
//   soft_overlong_unbounded(L, L_max, C)      the same without the floor
#pragma once

#include <gradwire/expression.hpp>
#include <gradwire/expression/group.hpp>

namespace gradwire::inline v0 {
namespace advantages {

// What an estimator is called on if it is given no other rewards: grpo{}(), grpo{}(reward + soft_overlong(…)).
using reward_column = std::remove_const_t<decltype(fields::reward)>;

// Unmasked tokens of the sequence: the response's length.
inline constexpr auto response_length = terminals::weight_count;

template <expression S>
constexpr auto centred(const S& reward) {
  return centered_over_group(reward);
}
template <expression X, expression S>
constexpr auto raw_alone(const X& x, const S& reward) {
  return where(terminals::group_size == 1, reward, x);
}
template <expression S, expression Spread>
constexpr auto standardised(const S& reward, const Spread& spread, double epsilon) {
  return centred(reward) / (spread + epsilon);
}
template <expression S, expression Spread>
constexpr auto standardised_or_raw(const S& reward, const Spread& spread, double epsilon, bool scaled) {
  const auto divisor = where(terminals::group_size == 1, 1.0, spread) + epsilon;
  return raw_alone(centred(reward), reward) / where(constant{scaled ? 1.0 : 0.0} == 1, divisor, 1.0);
}
template <expression S>
constexpr auto leave_one_out(const S& reward) {
  return centred(reward) * (terminals::group_size / max(terminals::group_size - 1, 1.0));
}

// DAPO's length shaping. source: arXiv:2503.14476, eq. 13. TRL: cache C; OpenRLHF, verl: overlong buffer C and a factor
// that multiplies the result; verl's is not bounded below.
template <expression L>
constexpr auto soft_overlong_unbounded(const L& length, double max_length, double cache) {
  return min((max_length - cache - length) / cache, 0.0);
}
template <expression L>
constexpr auto soft_overlong(const L& length, double max_length, double cache) {
  return max(soft_overlong_unbounded(length, max_length, cache), -1.0);
}

}  // namespace advantages
}  // namespace gradwire::inline v0
