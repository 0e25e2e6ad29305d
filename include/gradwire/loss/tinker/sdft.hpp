// SPDX-License-Identifier: Apache-2.0
// Self-distillation on the teacher's K most likely tokens.      source: tinker-cookbook, distillation/sdft.py, top-K
// mode
//
//   L = −Σ w·Σ_k p(k)·logprob(k),      p(k) = exp(teacher(k)) / Σ_j exp(teacher(j))          (K = 20)
//
// Divisor: none. The source leaves out the first 3 response tokens: give those the weight 0. Reads per candidate:
// candidate_logprobs, candidate_teacher_logprobs (nats); per token: weights.
#pragma once

#include <gradwire/loss/parts/distillation.hpp>

namespace gradwire::inline v0 {
namespace tinker {

struct sdft {
  constexpr auto operator()() const {
    const auto teacher = renormalised(fields::candidate_teacher_logprobs);
    return objective(sum_over_all_tokens(cross_entropy_of(teacher, fields::candidate_logprobs)),
                     metric<"teacher_entropy">(mean_over_all_tokens(entropy_of(teacher))));
  }
};

}  // namespace tinker
}  // namespace gradwire::inline v0
