// SPDX-License-Identifier: Apache-2.0
// Distillation on the student's own samples as a policy gradient: the advantage of a token is how much more likely the
// teacher finds it than the policy that sampled it, c·(teacher − sampler) (nats); its mean is −KL(sampler ‖ teacher).
#pragma once

#include <gradwire/expression.hpp>

namespace gradwire::inline v0 {

constexpr auto teacher_advantage(double coefficient) {
  return coefficient * (fields::teacher_logprobs - fields::sampler_logprobs);
}

// With the metrics of the sampled reverse KL.
template <expression Loss>
constexpr auto with_reverse_kl(const Loss& loss, double coefficient) {
  const auto gap = teacher_advantage(1);
  return objective(loss, metric<"opd_sampled_reverse_kl">(mean_over_all_tokens(-gap)),
                   metric<"opd_advantage">(mean_over_all_tokens(coefficient * gap)),
                   metric<"opd_abs_logprob_gap">(mean_over_all_tokens(abs(gap))),
                   metric<"opd_teacher_nll">(mean_over_all_tokens(-fields::teacher_logprobs)),
                   metric<"opd_sampling_nll">(mean_over_all_tokens(-fields::sampler_logprobs)));
}

}  // namespace gradwire::inline v0
