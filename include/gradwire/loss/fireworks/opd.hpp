// SPDX-License-Identifier: Apache-2.0
// On-policy distillation by the sampled reverse KL.     source: fw-ai/cookbook, training/utils/distillation/__init__.py
//
//   L = −Σ w·r·A,      r = exp(clamp(logprob − sampler, ±20)),  A = c·(teacher − sampler)
//
// Divisor: none. Reads per token: logprobs, sampler_logprobs, teacher_logprobs (nats), weights.
#pragma once

#include <gradwire/loss/parts/on_policy_distillation.hpp>
#include <gradwire/loss/parts/ratio.hpp>

namespace gradwire::inline v0 {
namespace fireworks {

struct opd {
  double loss_scale = 1.0;      // c, weight of the dense reward, per nat
  double ratio_log_cap = 20.0;  // largest |logprob − sampler|, nats

  constexpr auto operator()() const {
    const auto r = let<"ratio">(clamped_ratio(fields::logprobs, fields::sampler_logprobs, ratio_log_cap));
    return with_reverse_kl(sum_over_all_tokens(-r * teacher_advantage(loss_scale)), loss_scale);
  }
};

}  // namespace fireworks
}  // namespace gradwire::inline v0
