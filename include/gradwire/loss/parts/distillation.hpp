// SPDX-License-Identifier: Apache-2.0
// Distributions over a token's K candidates and divergences between them; nats. Both sides are renormalised on the K.
//
//   renormalised(x, T)              log softmax over the candidates of x/T; T = 1 if not given       per candidate
//   generalised_jsd(s, t, β)        KL(t‖s) at β = 0, KL(s‖t) at β = 1, else β·KL(t‖m) + (1−β)·KL(s‖m)
//                                   = Σ_k β·t·log t + (1−β)·s·log s − m·log m, of the probabilities
//                                   m = β·t + (1−β)·s                                                per token
//   cross_entropy_of(t, s)          −Σ_k e^t·s                                                       per token
//   entropy_of(t)                   −Σ_k e^t·t                                                       per token
#pragma once

#include <gradwire/expression.hpp>

namespace gradwire::inline v0 {

template <expression X>
constexpr auto renormalised(const X& x) {
  const auto shifted = x - max_over_candidates(x);  // for the exponential's range only
  return shifted - log(sum_over_candidates(exp(shifted)));
}
template <expression X>
constexpr auto renormalised(const X& x, double temperature) {
  return renormalised(x / temperature);
}
// One sum for all cases, and the mixture's logarithm in one place: each place where a formula has a constant is
// computed on its own.
template <expression S, expression T>
constexpr auto generalised_jsd(const S& student, const T& teacher, double beta) {
  const auto p = exp(student);
  const auto q = exp(teacher);
  const auto mixture = beta * q + (1 - beta) * p;
  const auto log_mixture = log(max(mixture, 1e-37));  // both may underflow: 0·log 0 is 0 then
  const auto jsd = beta * (q * teacher) + (1 - beta) * (p * student) - mixture * log_mixture;
  return sum_over_candidates(
      where(constant{beta} == 0, q * (teacher - student), where(constant{beta} == 1, p * (student - teacher), jsd)));
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
