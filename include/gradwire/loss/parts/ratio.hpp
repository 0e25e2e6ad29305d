// SPDX-License-Identifier: Apache-2.0
// Ratios of the policy to the one that sampled, dimensionless; logprobs in nats.
//
//   ratio(p, q)                   exp(p − q)                                       per token
//   clamped_ratio(p, q, c)        exp(clamp(p − q, −c, c)): no gradient beyond c   per token
//   sequence_ratio(p, q)          exp(mean_t (p − q)): the geometric mean          per sequence
//   sequence_ratio_product(p, q)  exp(Σ_t (p − q))                                 per sequence
//   sequence_ratio_as_token(p, q, cap)   the value of exp(min(mean_t (p − q), cap)), each token's own p as carrier of
//                                 the gradient: s_t = sg(s)·exp(p − sg(p)); no gradient beyond cap
#pragma once

#include <gradwire/expression.hpp>

namespace gradwire::inline v0 {

template <expression P, expression Q>
constexpr auto ratio(const P& policy, const Q& sampled_by) {
  return exp(policy - sampled_by);
}

template <expression P, expression Q>
constexpr auto clamped_ratio(const P& policy, const Q& sampled_by, double limit) {
  return exp(clamp(policy - sampled_by, -limit, limit));
}

template <expression P, expression Q>
constexpr auto sequence_ratio(const P& policy, const Q& sampled_by) {
  return exp(mean_over_tokens(policy - sampled_by));
}

template <expression P, expression Q>
constexpr auto sequence_ratio_product(const P& policy, const Q& sampled_by) {
  return exp(sum_over_tokens(policy - sampled_by));
}

template <expression P, expression Q>
constexpr auto sequence_ratio_as_token(const P& policy, const Q& sampled_by, double cap) {
  const auto mean = stop_gradient(mean_over_tokens(policy - sampled_by));
  const auto value = exp(min(mean, cap));
  return value_of(value).gradient_of(where(mean <= cap, value, 0.0) * policy);
}

}  // namespace gradwire::inline v0
