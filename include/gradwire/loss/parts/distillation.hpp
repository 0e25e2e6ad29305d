// SPDX-License-Identifier: Apache-2.0
// Distributions over a token's K candidates and divergences between them; nats. Both sides are renormalised on the K.
//
//   renormalised(x, T)              log softmax over the candidates of x/T                           per candidate
//   kl_of(p, q)                     Σ_k e^p·(p − q)       of log distributions p, q                  per token
//   log_mixture(p, q, β)            log(β·e^q + (1−β)·e^p)                                           per candidate
//   generalised_jsd(s, t, β)        KL(t‖s) at β = 0, KL(s‖t) at β = 1, else β·KL(t‖m) + (1−β)·KL(s‖m)
//                                   m = β·t + (1−β)·s of the probabilities                           per token
//   cross_entropy_of(t, s)          −Σ_k e^t·s                                                       per token
//   entropy_of(t)                   −Σ_k e^t·t                                                       per token
#pragma once

#include <gradwire/expression.hpp>

namespace gradwire::inline v0 {

template <expression X>
constexpr auto renormalised(const X& x, double temperature = 1) {
  const auto scaled = x / temperature;
  const auto shifted = scaled - max_over_candidates(scaled);  // for the exponential's range only
  return shifted - log(sum_over_candidates(exp(shifted)));
}
template <expression P, expression Q>
constexpr auto kl_of(const P& p, const Q& q) {
  return sum_over_candidates(exp(p) * (p - q));
}
template <expression P, expression Q>
constexpr auto log_mixture(const P& p, const Q& q, double beta) {
  return log(beta * exp(q) + (1 - beta) * exp(p));
}
template <expression S, expression T>
constexpr auto generalised_jsd(const S& student, const T& teacher, double beta) {
  const auto mixture = log_mixture(student, teacher, beta);
  const auto jsd = beta * kl_of(teacher, mixture) + (1 - beta) * kl_of(student, mixture);
  return where(constant{beta} == 0, kl_of(teacher, student), where(constant{beta} == 1, kl_of(student, teacher), jsd));
}
template <expression T, expression S>
constexpr auto cross_entropy_of(const T& teacher, const S& student) {
  return -sum_over_candidates(exp(teacher) * student);
}
template <expression T>
constexpr auto entropy_of(const T& teacher) {
  return -sum_over_candidates(exp(teacher) * teacher);
}

}  // namespace gradwire::inline v0
