// SPDX-License-Identifier: Apache-2.0
// On-policy distillation on top of another estimator: each token's reverse KL to a teacher is taken off.
//                                       source: slime, slime/backends/megatron_utils/loss.py apply_opd_kl_to_advantages
//
//   A'_t = A_t − c·(old_logprob − teacher_logprob)          (old: the student's when it sampled)
//
// Reads per sequence: advantage (A, reward units); per token: old_logprobs, teacher_logprobs (nats).
#pragma once

#include <gradwire/expression.hpp>

namespace gradwire::inline v0 {
namespace advantages::slime {

struct opd {
  double opd_kl_coef = 1.0;  // c, reward units per nat

  constexpr auto operator()() const {
    const auto reverse_kl = allow<lint::role_difference>(fields::old_logprobs - fields::teacher_logprobs);
    return fields::advantage - opd_kl_coef * reverse_kl;
  }
};

}  // namespace advantages::slime
}  // namespace gradwire::inline v0
