// SPDX-License-Identifier: Apache-2.0
// Corrections for tokens that another policy, or another engine, sampled; ρ = exp(old − sampler) per token. Weights are
// detached and multiply a per-token loss; masks are truth values, true = keep, for kept(mask, x). Thresholds are on ρ.
//
//   tis_token(old, sampler, cap)                    min(ρ, cap)
//   tis_token(old, sampler, low, high)              ρ clamped to [low, high]
//   tis_sequence_product(old, sampler, cap)         min(exp Σ_t log ρ, cap)                       unbiased, wide
//   tis_sequence_geometric(old, sampler, cap)       min(exp mean_t log ρ, cap)
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
constexpr auto tis_sequence_product(const Old& old, const Sampler& sampler, double cap, Cs... clamps) { return min(rho_product(old, sampler, clamps...), cap); }
template <expression Old, expression Sampler, formula::clamp_tag... Cs>
constexpr auto tis_sequence_geometric(const Old& old, const Sampler& sampler, double cap, Cs... clamps) { return min(rho_geometric(old, sampler, clamps...), cap); }

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

// verl's rejection statistics per token, and its rules (rollout_rs): a token or sequence stays while the statistic is
// ≤ a threshold; for k1 the two thresholds are on 1/ρ, not on ρ ("0.1_1.2" keeps ρ in [0.833, 10]), as the source has
// it. Sequence forms: sum_over_tokens(…), verl_sequence_mean(…), max_over_tokens(…) of the statistic.
template <expression Old, expression Sampler> constexpr auto verl_rs_k1(const Old& old, const Sampler& sampler) { return -log_rho(old, sampler, clamp_log_ratio{20}); }
template <expression Old, expression Sampler> constexpr auto verl_rs_k2(const Old& old, const Sampler& sampler) { return 0.5 * square(log_rho(old, sampler, clamp_log_ratio{20})); }
template <expression Old, expression Sampler> constexpr auto verl_rs_k3(const Old& old, const Sampler& sampler) { return make_node<k3_op>(log_rho(old, sampler, clamp_log_ratio{20})); }
template <expression X> constexpr auto verl_sequence_mean(const X& x) { return sum_over_tokens(x) / (terminals::weight_sum + 1e-8); }
template <expression K1> constexpr auto verl_rs_k1_keeps(const K1& statistic, double lower, double upper) { return inside(exp(statistic), lower, upper); }
// clang-format on

}  // namespace gradwire::inline v0
