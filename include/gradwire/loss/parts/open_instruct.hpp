// SPDX-License-Identifier: Apache-2.0
// What open-instruct's losses share.
// Source: allenai/open-instruct, open_instruct/grpo_utils.py compute_rho_correction, model_utils.py estimate_kl
//
//   log ρ = clamp(old − sampler, −10, 10), detached
//   rho_token      clamp(ρ, clamp_low, clamp_high), 0 where ρ is outside [mask_low, mask_high]
//   rho_sequence   the same of exp mean_t log ρ, one value a sequence
//   rho_tv         clamp(ρ, …), 0 at tokens that move away (log ρ·A > 0) of sequences with mean_t |ρ − 1| outside
//   kl_estimate    d = clamp(logprob − ref, −40, 40);   0: d   1: d²/2   2: e^(−d) + d − 1   3: r·d
//   A bound of 0 is off.
#pragma once

#include <gradwire/loss/parts/correction.hpp>
#include <gradwire/loss/parts/kl.hpp>
#include <gradwire/loss/parts/metrics.hpp>
#include <gradwire/loss/parts/policy.hpp>
#include <gradwire/loss/parts/ratio.hpp>

namespace gradwire::inline v0 {
namespace open_instruct {

constexpr double upper(bound b) { return b.value > 0 ? b.value : no_limit; }

inline constexpr auto token_rho = [] {
  return rho(fields::old_logprobs, fields::sampler_logprobs, clamp_log_ratio{10});
};

// Clamped to the first two bounds, 0 outside the last two.
template <class R>
constexpr auto clamped_and_masked(const R& r, bound clamp_low, bound clamp_high, bound mask_low, bound mask_high) {
  return kept(inside(r, mask_low.value, upper(mask_high)), clamp(r, clamp_low.value, upper(clamp_high)));
}
inline constexpr struct rho_token_t {
  constexpr auto operator()(bound clamp_low, bound clamp_high, bound mask_low, bound mask_high) const {
    return clamped_and_masked(token_rho(), clamp_low, clamp_high, mask_low, mask_high);
  }
} rho_token{};
inline constexpr struct rho_sequence_t {
  constexpr auto operator()(bound clamp_low, bound clamp_high, bound mask_low, bound mask_high) const {
    const auto r = rho_geometric(fields::old_logprobs, fields::sampler_logprobs, clamp_log_ratio{10});
    return clamped_and_masked(r, clamp_low, clamp_high, mask_low, mask_high);
  }
} rho_sequence{};
inline constexpr struct rho_tv_t {
  constexpr auto operator()(bound clamp_low, bound clamp_high, bound mask_low, bound mask_high) const {
    using namespace fields;
    const auto keep =
        tv_mask(old_logprobs, sampler_logprobs, advantage, mask_low.value, upper(mask_high), clamp_log_ratio{10});
    return kept(keep, clamp(token_rho(), clamp_low.value, upper(clamp_high)));
  }
} rho_tv{};

template <class R>
constexpr auto kl_estimate(int estimator, const R& ratio) {
  using namespace fields;
  const constant chosen{static_cast<double>(estimator)};
  const clamp_log_ratio limit{40};
  const auto first = allow<lint::k1_as_loss>(k1(logprobs, ref_logprobs, limit));
  return let<"kl">(where(chosen == 0, first,
                         where(chosen == 1, k2(logprobs, ref_logprobs, limit),
                               where(chosen == 3, ratio_times_log_ratio(logprobs, ref_logprobs, ratio, limit),
                                     k3(logprobs, ref_logprobs, limit)))));
}

// Σ m·x / Σ m, or / loss_denominator where that is positive.
template <class X>
constexpr auto reduced(const X& x, double loss_denominator) {
  const constant fixed{loss_denominator};
  return divide_or_zero(token_sum(x), where(fixed > 0, fixed, terminals::total_weight));
}

template <class W, class G, class K, class... Metrics>
constexpr auto weighted_objective(const W& weight, const G& gain, const K& kl, double beta, double loss_denominator,
                                  const Metrics&... more) {
  return objective_with(reduced(weighted_kl(beta, kl) - kept(weight > 0, weight * gain), loss_denominator),
                        metric<"kl">(token_mean(kl)), tis_mean(weight),
                        drift_metrics(fields::logprobs, fields::old_logprobs), more...);
}

}  // namespace open_instruct
}  // namespace gradwire::inline v0
