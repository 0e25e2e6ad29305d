// SPDX-License-Identifier: Apache-2.0
// Corrections for tokens that another policy, or another engine, sampled; ρ = exp(old − sampler) per token. Weights are
// detached and multiply a per-token loss; masks are truth values, true = keep, for kept(mask, x). Thresholds are on ρ.
//
//   tis_token(old, sampler, cap)                    min(ρ, cap)
//   tis_token(old, sampler, low, high)              ρ clamped to [low, high]
//   icepop(old, sampler, low, high)                 ρ inside [low, high], 0 outside
//   token_ratio_mask(old, sampler, low, high)       low ≤ ρ ≤ high
//   sequence_mask_product(old, sampler, low, high)  low ≤ exp Σ_t log ρ ≤ high
//   sequence_mask_geometric(old, sampler, low, high)  low ≤ exp mean_t log ρ ≤ high
//   outlier_mask(old, sampler, low, high)           every token's ρ in [low, high]
//   opsm(advantage, policy, behaviour, delta)       not (A < 0 and mean_t (behaviour − policy) > delta)
//   tv_mask(old, sampler, advantage, low, high)     not (mean_t |ρ − 1| outside [low, high] and sign(log ρ)·A > 0)
//
// Trailing clamps as the source has them: clamp_log_ratio{20} of each token's log ρ, clamp_sequence_log_ratio{20} of a
// sequence's sum or mean. Sums and means are over unmasked tokens. Combine masks with &&, weights with *.
#pragma once

#include <gradwire/loss/parts/log_clamp.hpp>

namespace gradwire::inline v0 {

// clang-format off
// log ρ and its sequence forms, detached.
template <expression Old, expression Sampler, formula::clamp_tag... Cs>
constexpr auto log_rho(const Old& old, const Sampler& sampler, Cs... clamps) {
  return formula::clamped_by<clamp_log_ratio>(stop_gradient(old - sampler), clamps...);
}
template <expression Old, expression Sampler, formula::clamp_tag... Cs>
constexpr auto rho(const Old& old, const Sampler& sampler, Cs... clamps) {
  return exp(log_rho(old, sampler, clamps...));
}
template <expression Old, expression Sampler, formula::clamp_tag... Cs>
constexpr auto rho_product(const Old& old, const Sampler& sampler, Cs... clamps) {
  return exp(formula::clamped_by<clamp_sequence_log_ratio>(sum_over_tokens(log_rho(old, sampler, clamps...)), clamps...));
}
template <expression Old, expression Sampler, formula::clamp_tag... Cs>
constexpr auto rho_geometric(const Old& old, const Sampler& sampler, Cs... clamps) {
  return exp(formula::clamped_by<clamp_sequence_log_ratio>(mean_over_tokens(log_rho(old, sampler, clamps...)), clamps...));
}

template <expression X> constexpr auto inside(const X& x, double low, double high) { return x >= low && x <= high; }

// x where the mask keeps it, 0 elsewhere: selected, so that an infinite x that is dropped is gone.
template <truth Keep, operand X> constexpr auto kept(const Keep& keep, const X& x) { return where(keep, x, 0.0); }

template <expression Old, expression Sampler, formula::clamp_tag... Cs>
constexpr auto tis_token(const Old& old, const Sampler& sampler, double cap, Cs... clamps) { return min(rho(old, sampler, clamps...), cap); }
template <expression Old, expression Sampler, formula::clamp_tag... Cs>
constexpr auto tis_token(const Old& old, const Sampler& sampler, double low, double high, Cs... clamps) { return clamp(rho(old, sampler, clamps...), low, high); }

template <expression Old, expression Sampler, formula::clamp_tag... Cs>
constexpr auto token_ratio_mask(const Old& old, const Sampler& sampler, double low, double high, Cs... clamps) { return inside(rho(old, sampler, clamps...), low, high); }
template <expression Old, expression Sampler, formula::clamp_tag... Cs>
constexpr auto icepop(const Old& old, const Sampler& sampler, double low, double high, Cs... clamps) {
  auto weight = rho(old, sampler, clamps...);
  return kept(inside(weight, low, high), weight);
}
template <expression Old, expression Sampler, formula::clamp_tag... Cs>
constexpr auto sequence_mask_product(const Old& old, const Sampler& sampler, double low, double high, Cs... clamps) { return inside(rho_product(old, sampler, clamps...), low, high); }
template <expression Old, expression Sampler, formula::clamp_tag... Cs>
constexpr auto sequence_mask_geometric(const Old& old, const Sampler& sampler, double low, double high, Cs... clamps) { return inside(rho_geometric(old, sampler, clamps...), low, high); }
template <expression Old, expression Sampler, formula::clamp_tag... Cs>
constexpr auto outlier_mask(const Old& old, const Sampler& sampler, double low, double high, Cs... clamps) {
  auto log_weight = log_rho(old, sampler, clamps...);
  return exp(min_over_tokens(log_weight)) >= low && exp(max_over_tokens(log_weight)) <= high;
}
// Off-policy sequence masking: bad sequences that the policy has already left.              source: DeepSeek-V3.2
template <expression A, expression P, expression B>
constexpr auto opsm(const A& advantage, const P& policy, const B& behaviour, double delta) {
  return !(advantage < 0 && mean_over_tokens(stop_gradient(policy - behaviour)) < -delta);
}
template <expression Old, expression Sampler, expression A, formula::clamp_tag... Cs>
constexpr auto tv_mask(const Old& old, const Sampler& sampler, const A& advantage, double low, double high, Cs... clamps) {
  auto divergence = mean_over_tokens(abs(rho(old, sampler, clamps...) - 1));
  auto log_weight = log_rho(old, sampler, clamps...);
  auto moves_away = (log_weight > 0 && advantage > 0) || (log_weight < 0 && advantage < 0);
  return inside(divergence, low, high) || !moves_away;
}
// clang-format on

}  // namespace gradwire::inline v0
