// SPDX-License-Identifier: Apache-2.0
// Metrics of policy losses under the names that mean one thing: means over the unmasked tokens of the whole batch,
// before any clamp, absent where there is nothing to average. A metric is metric<…>; several come as a list, and
// `objective_with(loss, a, b, …)` takes both. Mean is the token mean (a source with its own, an ε in the divisor, gives
// it).
//
//   clip_frac         the clipped branch won: −A·clip(r) > −A·r
//   out_of_band_frac  clip(r) ≠ r, whatever the sign of A
//   dual_clip_frac    A < 0 and max(−r·A, −clip(r)·A) > −c·A
//   approx_kl_k1, approx_kl_k3      of d = logprob − old: mean −d, e^d − 1 − d     nats
//   ratio_mean, _std, _max, _min    of the ratio                                   dimensionless
//   tis_mean, tis_cap_frac, ess     of a weight w: mean w, share of w that the cap cut, (mean w)²/mean w² ∈ (0, 1]
//   chi2_token        mean ρ² − 1;   logp_absdiff_mean, _std, _max: |old − sampler|, nats
#pragma once

#include <gradwire/loss/parts/reduction.hpp>

namespace gradwire::inline v0 {

namespace formula {
template <class First, class... Rest>
constexpr auto as_list(const metric_list<First, Rest...>& list) {
  return list;
}
template <fixed_string Name, class X>
constexpr metric_list<metric_t<Name, X>> as_list(const metric_t<Name, X>& one) {
  return {one, {}};
}
constexpr metric_list<> as_list(const metric_list<>& none) { return none; }
constexpr metric_list<> joined() { return {}; }
template <class First, class... Rest>
constexpr auto joined(const First& first, const Rest&... rest) {
  return join(as_list(first), joined(rest...));
}
}  // namespace formula

template <class... Metrics>
constexpr auto metrics(const Metrics&... each) {
  return formula::joined(each...);
}
template <expression Loss, class... Metrics>
constexpr auto objective_with(const Loss& loss, const Metrics&... each) {
  return formula::with_metrics(loss, formula::joined(each...));
}

// True where the clipped branch of ppo_clip is the smaller gain.
template <expression R, expression A>
constexpr auto clip_won(const R& ratio, const A& advantage, double low, double high) {
  return (advantage < 0 && ratio < low) || (advantage > 0 && ratio > high);
}
template <auto Mean = token_mean, expression R, expression A>
constexpr auto clip_frac(const R& ratio, const A& advantage, double low, double high) {
  return metric<"clip_frac">(Mean(as_expression(clip_won(ratio, advantage, low, high))));
}
template <expression R>
constexpr auto out_of_band(const R& ratio, double low, double high) {
  return ratio < low || ratio > high;
}
template <auto Mean = token_mean, expression R>
constexpr auto out_of_band_frac(const R& ratio, double low, double high) {
  return metric<"out_of_band_frac">(Mean(as_expression(out_of_band(ratio, low, high))));
}
template <auto Mean = token_mean, expression R, expression A>
constexpr auto dual_clip_frac(const R& ratio, const A& advantage, double low, double c) {
  return metric<"dual_clip_frac">(Mean(as_expression(advantage < 0 && max(ratio, low) > c)));
}

template <auto Mean = token_mean, expression R, expression A>
constexpr auto clip_metrics(const R& ratio, const A& advantage, double low, double high) {
  return metrics(clip_frac<Mean>(ratio, advantage, low, high), out_of_band_frac<Mean>(ratio, low, high));
}

template <auto Mean = token_mean, expression P, expression O>
constexpr auto approx_kl_k1(const P& logprob, const O& old) {
  return metric<"approx_kl_k1">(-Mean(logprob - old));
}
template <auto Mean = token_mean, expression P, expression O>
constexpr auto approx_kl_k3(const P& logprob, const O& old) {
  return metric<"approx_kl_k3">(Mean(make_node<k3_op>(logprob - old)));
}

// ratio_mean, ratio_std (of the population), ratio_max, ratio_min of a ratio per token. The deviation is taken about 1,
// so that one sweep over the tokens gives it without losing digits.
template <auto Mean = token_mean, expression R>
constexpr auto ratio_metrics(const R& ratio) {
  const auto off = ratio - 1;
  const auto variance = token_mean(square(off)) - square(token_mean(off));
  return metrics(metric<"ratio_mean">(Mean(ratio)), metric<"ratio_std">(sqrt(max(variance, 0.0))),
                 metric<"ratio_max">(max_over_all_tokens(ratio)), metric<"ratio_min">(min_over_all_tokens(ratio)));
}
// How far the policy has moved from the one that sampled, whatever the loss does with it.
template <auto Mean = token_mean, expression P, expression O>
constexpr auto drift_metrics(const P& logprob, const O& old) {
  return metrics(approx_kl_k1<Mean>(logprob, old), approx_kl_k3<Mean>(logprob, old),
                 ratio_metrics<Mean>(exp(logprob - old)));
}

// (mean w)² / mean w², of a weight per token or per sequence.
template <auto Mean = token_mean, expression W>
constexpr auto ess(const W& weight) {
  return metric<"ess">(divide_or_zero(square(Mean(weight)), Mean(square(weight))));
}
template <auto Mean = token_mean, expression W>
constexpr auto tis_mean(const W& weight) {
  return metric<"tis_mean">(Mean(weight));
}
template <auto Mean = token_mean, expression C>
constexpr auto tis_cap_frac(const C& capped) {
  return metric<"tis_cap_frac">(Mean(as_expression(capped)));
}

// tis_mean, ess, and tis_cap_frac: the share of ρ above the cap.
template <auto Mean = token_mean, expression W, expression R>
constexpr auto tis_metrics(const W& weight, const R& rho, double cap) {
  return metrics(tis_mean<Mean>(weight), ess<Mean>(weight), tis_cap_frac<Mean>(rho > cap));
}
// Of a mask, true = keep: the share of tokens that it drops.
template <auto Mean = token_mean, expression K>
constexpr auto dropped_frac(const K& keep) {
  return metric<"dropped_frac">(Mean(as_expression(!keep)));
}

template <auto Mean = token_mean, expression O, expression S>
constexpr auto mismatch_metrics(const O& old, const S& sampler) {
  const auto difference = abs(old - sampler);
  return metrics(metric<"logp_absdiff_mean">(Mean(difference)),
                 metric<"logp_absdiff_std">(std_over_all_tokens(difference)),
                 metric<"logp_absdiff_max">(max_over_all_tokens(difference)),
                 metric<"chi2_token">(Mean(exp(2 * (old - sampler))) - 1));
}

}  // namespace gradwire::inline v0
