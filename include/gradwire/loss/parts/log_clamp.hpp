// SPDX-License-Identifier: Apache-2.0
// Clamps as named trailing arguments of KL terms and off-policy corrections. They hide divergence and stop its gradient
// outside, and sources disagree on them, so each is named at the call: k3(p, r, clamp_log_ratio{20}, clamp_value{10}).
#pragma once

#include <gradwire/expression.hpp>
#include <gradwire/expression/bounds.hpp>

namespace gradwire::inline v0 {

inline constexpr double no_limit = __builtin_huge_val();  // a threshold that is never reached

struct clamp_log_ratio {  // each token's log ratio, before anything else is done with it
  double limit;           // nats; ± this
};
struct clamp_sequence_log_ratio {  // a sequence's sum or mean of log ratios, before its exponential
  double limit;                    // nats; ± this
};
struct clamp_value {  // the finished estimate
  double limit;       // nats; ± this
};

namespace formula {

// x, clamped where `Which` is among the clamps.
template <class Which, class X>
constexpr auto clamped_by(const X& x) {
  return x;
}
template <class Which, class X, class First, class... Rest>
constexpr auto clamped_by(const X& x, First first, Rest... rest) {
  if constexpr (std::is_same_v<Which, First>)
    return clamp(x, -first.limit, first.limit);
  else
    return clamped_by<Which>(x, rest...);
}

template <class C>
concept clamp_tag =
    std::is_same_v<C, clamp_log_ratio> || std::is_same_v<C, clamp_sequence_log_ratio> || std::is_same_v<C, clamp_value>;

}  // namespace formula
}  // namespace gradwire::inline v0
