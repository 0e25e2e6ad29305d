// SPDX-License-Identifier: Apache-2.0
// slime's KL terms times the ratio to the old policy, use_unbiased_kl; d = logprob − ref, in nats.
// Source: slime, slime/utils/ppo_utils.py
//
//   kl_k1_unbiased r·d   kl_k2_unbiased r·½d²   kl_k3_unbiased r·(e^(−d) + d − 1)
//   kl_low_var_unbiased that clamped to ±10
//   r = exp(logprob − old); the source computes the KL in float32
//
// Σ_i (1/|y_i|) Σ_t.
//
// Reads per token: logprobs, old_logprobs, ref_logprobs (nats), weights.
#pragma once

#include <gradwire/loss/parts/ratio.hpp>
#include <gradwire/loss/slime/kl.hpp>

namespace gradwire::inline v0 {
namespace slime {

constexpr auto old_ratio() { return ratio(fields::logprobs, fields::old_logprobs); }
inline constexpr auto k1_unbiased_term = [](auto p, auto q) { return ratio_times_log_ratio(p, q, old_ratio()); };
inline constexpr auto k2_unbiased_term = [](auto p, auto q) { return old_ratio() * k2(p, q); };
inline constexpr auto k3_unbiased_term = [](auto p, auto q) { return k3_times_ratio(p, q, old_ratio()); };
inline constexpr auto low_var_unbiased_term = [](auto p, auto q) {
  return clamp(k3_times_ratio(p, q, old_ratio()), -10, 10);
};
using kl_k1_unbiased = kl_loss<k1_unbiased_term>;
using kl_k2_unbiased = kl_loss<k2_unbiased_term>;
using kl_k3_unbiased = kl_loss<k3_unbiased_term>;
using kl_low_var_unbiased = kl_loss<low_var_unbiased_term>;

}  // namespace slime
}  // namespace gradwire::inline v0
