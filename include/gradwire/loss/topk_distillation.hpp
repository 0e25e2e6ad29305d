// SPDX-License-Identifier: Apache-2.0
// Distillation on a teacher's K most likely tokens: cross-entropy against its distribution, renormalised on those K.
//
//   L = − Σ w·Σ_k p(k)·logprob(k) / Σ w,        p(k) = exp(teacher(k)) / Σ_j exp(teacher(j))
//
// Reads per candidate: candidate_logprobs, candidate_teacher_logprobs (nats); per token: weights.
#pragma once

#include <gradwire/loss/parts/distillation.hpp>

namespace gradwire::inline v0 {

struct topk_distillation {
  constexpr auto operator()() const {
    const auto teacher = renormalised(fields::candidate_teacher_logprobs);
    return mean_over_all_tokens(cross_entropy_of(teacher, fields::candidate_logprobs));
  }
};

}  // namespace gradwire::inline v0
