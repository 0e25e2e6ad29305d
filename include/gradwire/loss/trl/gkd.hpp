// SPDX-License-Identifier: Apache-2.0
// Generalised knowledge distillation.                                   source: TRL, experimental/gkd/gkd_trainer.py
//
//   L = Σ w·JSD_β / Σ w over all tokens;   β = 0: KL(t‖s), β = 1: KL(s‖t), else β·KL(t‖m) + (1−β)·KL(s‖m),
//   m = β·t + (1−β)·s;   s, t: softmax over the candidates of logprob/T, teacher/T
//
// The source takes the whole vocabulary; here both are renormalised on the K candidates of each token (equal for K =
// all). Divisor: tokens (reduction batchmean). Reads per candidate: candidate_logprobs, candidate_teacher_logprobs
// (nats); weights. Paper: arXiv:2306.13649.
#pragma once

#include <gradwire/loss/parts/distillation.hpp>

namespace gradwire::inline v0 {
namespace trl {

struct gkd {
  double beta = 0.5;         // β, share of the teacher in the mixture, 0 … 1
  double temperature = 1.0;  // T, of both distributions (the trainer's config: 0.9), dimensionless

  constexpr auto operator()() const {
    const auto student = let<"student">(renormalised(fields::candidate_logprobs, temperature));
    const auto teacher = let<"teacher">(renormalised(fields::candidate_teacher_logprobs, temperature));
    return mean_over_all_tokens(generalised_jsd(student, teacher, beta));
  }
};

}  // namespace trl
}  // namespace gradwire::inline v0
