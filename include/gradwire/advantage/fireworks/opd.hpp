// SPDX-License-Identifier: Apache-2.0
// On-policy distillation by the sampled reverse KL.     source: fw-ai/cookbook, training/utils/distillation/__init__.py
//
//   A_t = c·(teacher_logprob − sampler_logprob) per token
//
// Reads per token: sampler_logprobs, teacher_logprobs (nats), weights.
#pragma once

#include <gradwire/expression.hpp>

namespace gradwire::inline v0 {
namespace advantages::fireworks {

struct opd {
  double loss_scale = 1.0;  // c, reward units per nat

  constexpr auto operator()() const { return loss_scale * (fields::teacher_logprobs - fields::sampler_logprobs); }
};

}  // namespace advantages::fireworks
}  // namespace gradwire::inline v0
