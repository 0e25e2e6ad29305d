// SPDX-License-Identifier: Apache-2.0
// A loss per token (or per sequence) with its metrics, before the reduction: what the variants of a preset share.
// Includes everything that a policy loss is made of.
//
//   auto s = surrogate(-ppo_clip(r, advantage, low, high), clip_frac(…), drift_metrics(…));
//   reduced(token_mean, s)                    the objective: the reduction of its x, with its metrics
//   weighted(s, tis_token(…), tis_mean(…))    x · weight, more metrics
//   tis(s, ρ, cap)                            … with weight min(ρ, cap) and its metrics
//   tis(s, ρ, from, to)                       … with ρ clamped to [from, to]
//   icepop(s, ρ, from, to)                    … with ρ inside [from, to], 0 outside
//   kept(mask, s, …)                          x where the mask is true, 0 elsewhere: the divisor stays
#pragma once

#include <gradwire/loss/parts/correction.hpp>
#include <gradwire/loss/parts/metrics.hpp>
#include <gradwire/loss/parts/policy.hpp>
#include <gradwire/loss/parts/ratio.hpp>

namespace gradwire::inline v0 {

template <class X, class Metrics>
struct surrogate_t {
  X x;
  Metrics metrics;
};

template <expression X, class... Metrics>
constexpr auto surrogate(const X& x, const Metrics&... each) {
  const auto list = metrics(each...);
  return surrogate_t<X, std::remove_const_t<decltype(list)>>{x, list};
}

template <class Reduce, class X, class Metrics>
constexpr auto reduced(const Reduce& reduce, const surrogate_t<X, Metrics>& s) {
  return formula::with_metrics(reduce(s.x), s.metrics);
}

template <class X, class Own, expression W, class... Metrics>
constexpr auto weighted(const surrogate_t<X, Own>& s, const W& weight, const Metrics&... each) {
  return surrogate(s.x * weight, s.metrics, each...);
}

// Truncated importance sampling: x·min(ρ, cap), with tis_mean, tis_cap_frac and ess.
template <auto Mean = token_mean, class X, class Own, expression R>
constexpr auto tis(const surrogate_t<X, Own>& s, const R& rho, double cap) {
  const auto weight = min(rho, cap);
  return weighted(s, weight, tis_metrics<Mean>(weight, rho, cap));
}

// A weight made of ρ, with tis_mean, ess, and in tis_cap_frac the share of ρ outside [from, to].
template <class X, class Own, expression W, expression R>
constexpr auto weighted_within(const surrogate_t<X, Own>& s, const W& weight, const R& rho, double from, double to) {
  return weighted(s, weight, tis_mean(weight), ess(weight), tis_cap_frac(out_of_band(rho, from, to)));
}
template <class X, class Own, expression R>
constexpr auto tis(const surrogate_t<X, Own>& s, const R& rho, double from, double to) {
  return weighted_within(s, clamp(rho, from, to), rho, from, to);
}
template <class X, class Own, expression R>
constexpr auto icepop(const surrogate_t<X, Own>& s, const R& rho, double from, double to) {
  return weighted_within(s, kept(inside(rho, from, to), rho), rho, from, to);
}

template <truth Keep, class X, class Own, class... Metrics>
constexpr auto kept(const Keep& keep, const surrogate_t<X, Own>& s, const Metrics&... each) {
  return surrogate(kept(keep, s.x), s.metrics, each...);
}

}  // namespace gradwire::inline v0
