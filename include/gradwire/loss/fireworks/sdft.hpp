// SPDX-License-Identifier: Apache-2.0
// Forward KL to the teacher's K most likely tokens (without the teacher's entropy).
//                                                       source: fw-ai/cookbook, training/utils/distillation/__init__.py
//
//   L = −Σ w·Σ_k p(k)·logprob(k),      p(k) = exp(teacher(k)) / Σ_j exp(teacher(j))          (K = 5)
//
// Divisor: none. Reads per candidate: candidate_logprobs, candidate_teacher_logprobs (nats); per token: weights.
#pragma once

#include <gradwire/loss/parts/distillation.hpp>

namespace gradwire::inline v0 {
namespace fireworks {

struct sdft {
  constexpr auto operator()() const {
    const auto teacher = renormalised(fields::candidate_teacher_logprobs);
    return objective(sum_over_all_tokens(cross_entropy_of(teacher, fields::candidate_logprobs)),
                     metric<"sdft_teacher_topk_entropy">(mean_over_all_tokens(entropy_of(teacher))));
  }
};

}  // namespace fireworks
}  // namespace gradwire::inline v0
