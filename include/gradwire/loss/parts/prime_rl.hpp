// SPDX-License-Identifier: Apache-2.0
// What prime-rl's losses share.
// Source: PrimeIntellect-ai/prime-rl, src/prime_rl/trainer/rl/loss.py
//
//   r = exp(logprob − sampler), not clamped; a token kept or dropped by a trust region of probabilities, detached
//   x = −keep·r·adv_tau·A + kl_tau·(logprob − sampler)², the second at every unmasked token;   L = Σ m·x / Σ m
//   metrics  masked_mismatch_kl, unmasked_mismatch_kl: r − 1 − log r over dropped and kept tokens; is_masked
#pragma once

#include <gradwire/loss/parts/correction.hpp>
#include <gradwire/loss/parts/kl.hpp>
#include <gradwire/loss/parts/metrics.hpp>
#include <gradwire/loss/parts/policy.hpp>
#include <gradwire/loss/parts/ratio.hpp>

namespace gradwire::inline v0 {
namespace prime_rl {

template <class Keep, class A, class... Metrics>
constexpr auto trust_region_objective(const Keep& keep, const A& signal, double kl_tau, const Metrics&... more) {
  using namespace fields;
  const auto r = let<"ratio">(ratio(logprobs, sampler_logprobs));
  const auto mismatch = make_node<k3_op>(logprobs - sampler_logprobs);
  const auto loss =
      token_mean(kl_tau * squared_log_ratio(logprobs, sampler_logprobs) - kept(keep, ratio_gain(r, signal)));
  return objective_with(loss, metric<"masked_mismatch_kl">(mean_over_all_tokens_where(mismatch, !keep)),
                        metric<"unmasked_mismatch_kl">(mean_over_all_tokens_where(mismatch, keep)),
                        metric<"is_masked">(token_mean(as_expression(!keep))), ratio_metrics(r), more...);
}

// REINFORCE under a detached coefficient at the tokens that three masks on r keep: token, geometric mean, any token.
struct ratio_masks {
  bound token_low, token_high, geo_low, geo_high, any_low, any_high;
};
template <class R>
constexpr auto masked_term(const R& ratio, const ratio_masks& m, double adv_tau, double kl_tau) {
  using namespace fields;
  const auto keep = token_ratio_mask(logprobs, sampler_logprobs, low(m.token_low), high(m.token_high)) &&
                    sequence_mask_geometric(logprobs, sampler_logprobs, low(m.geo_low), high(m.geo_high)) &&
                    outlier_mask(logprobs, sampler_logprobs, low(m.any_low), high(m.any_high));
  const auto signal = adv_tau * advantage - kl_tau * log_rho(logprobs, sampler_logprobs);
  return kept(keep, -(stop_gradient(ratio) * signal) * logprobs);
}

}  // namespace prime_rl
}  // namespace gradwire::inline v0
