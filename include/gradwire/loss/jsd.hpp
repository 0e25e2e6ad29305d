// SPDX-License-Identifier: Apache-2.0
// Distillation by the generalised Jensen-Shannon divergence over a token's K candidates. source: arXiv:2306.13649, eq.
// 1
//
//   L = Σ w·[ β·KL(t‖m) + (1−β)·KL(s‖m) ] / Σ w,   m = β·t + (1−β)·s;   β = 0: KL(t‖s), β = 1: KL(s‖t)
//
// s, t: the student's and the teacher's probabilities, each renormalised on the K candidates. Divisor: tokens. Reads
// per candidate: candidate_logprobs, candidate_teacher_logprobs (nats); per token: weights.
#pragma once

#include <gradwire/loss/parts/distillation.hpp>

namespace gradwire::inline v0 {

struct jsd {
  double beta = 0.5;  // β, share of the teacher in the mixture, 0 … 1

  constexpr auto operator()() const {
    const auto student = let<"student">(renormalised(fields::candidate_logprobs));
    const auto teacher = let<"teacher">(renormalised(fields::candidate_teacher_logprobs));
    return mean_over_all_tokens(generalised_jsd(student, teacher, beta));
  }
};

}  // namespace gradwire::inline v0
