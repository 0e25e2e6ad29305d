// SPDX-License-Identifier: Apache-2.0
// On-policy distillation: the negative reverse KL as the advantage of importance sampling.
//                                                       source: tinker-cookbook, distillation/train_on_policy.py
//
//   L = −Σ w·r·A,      r = exp(logprob − sampler),  A = −c·(sampler − teacher)
//
// Divisor: none. Reads per token: logprobs, sampler_logprobs, teacher_logprobs (nats), weights. With a discount or with
// rewards as well: advantages::tinker::opd fills a column for tinker::importance_sampling.
#pragma once

#include <gradwire/loss/parts/on_policy_distillation.hpp>
#include <gradwire/loss/parts/ratio.hpp>

namespace gradwire::inline v0 {
namespace tinker {

struct opd {
  double kl_penalty_coef = 1.0;  // c, weight of the reverse KL, per nat

  constexpr auto operator()() const {
    const auto r = let<"ratio">(ratio(fields::logprobs, fields::sampler_logprobs));
    return with_reverse_kl(sum_over_all_tokens(-r * teacher_advantage(kl_penalty_coef)), kl_penalty_coef);
  }
};

}  // namespace tinker
}  // namespace gradwire::inline v0
