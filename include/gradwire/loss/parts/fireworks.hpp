// SPDX-License-Identifier: Apache-2.0
// What the client-side RL losses of the Fireworks cookbook share.
// Source: fw-ai/cookbook, training/utils/rl/{common,tis}.py
//
//   active         the mask is above 0.5: fractions scale a token's loss, but whether it counts is a threshold
//   token_tis      w = min(ρ, cap), and 0 unless 1/icepop ≤ ρ ≤ icepop;   ρ = exp clamp(old − sampler, −20, 20)
//   sequence_tis   w = min(exp mean_t clamp(old − sampler, −20, 20), cap), the mean over active tokens, by their number
//                  both: w = 1 at tokens that are not active
//   raw_sum        Σ_i Σ_t m·x over the sequences with an active token
//   metrics        approx_kl_k1, _k3, ratio_*; tis_mean, tis_cap_frac; out_of_band_frac (the cookbook's *_clip_frac)
//
// Every loss there is a raw sum over tokens and sequences: divide in optim_step (num_loss_tokens), never twice.
#pragma once

#include <gradwire/loss/parts/correction.hpp>
#include <gradwire/loss/parts/kl.hpp>
#include <gradwire/loss/parts/metrics.hpp>
#include <gradwire/loss/parts/policy.hpp>
#include <gradwire/loss/parts/ratio.hpp>

namespace gradwire::inline v0 {
namespace fireworks {

constexpr auto active() { return fields::weights > 0.5; }
template <expression X>
constexpr auto raw_sum(const X& x) {
  return token_sum(kept(max_over_tokens(fields::weights) > 0.5, x));
}

inline constexpr struct token_tis_t {
  static constexpr auto raw() { return rho(fields::old_logprobs, fields::sampler_logprobs, clamp_log_ratio{20}); }
  constexpr auto operator()(double cap, double icepop_threshold) const {
    const auto weight = kept(inside(raw(), 1 / icepop_threshold, icepop_threshold), min(raw(), cap));
    return where(active(), weight, 1.0);
  }
} token_tis{};
inline constexpr struct sequence_tis_t {
  static constexpr auto raw() {
    const auto log_weight = log_rho(fields::old_logprobs, fields::sampler_logprobs, clamp_log_ratio{20});
    return exp(divide_or_zero(sum_over_tokens_unweighted(kept(active(), log_weight)),
                              sum_over_tokens_unweighted(as_expression(active()))));
  }
  constexpr auto operator()(double cap, double) const { return where(active(), min(raw(), cap), 1.0); }
} sequence_tis{};

// Which positions the mean of GSPO's log ratio runs over.
inline constexpr auto any_position = [] { return terminals::position >= 0; };
inline constexpr auto after_prompt = [] { return terminals::position >= min_over_tokens(terminals::position); };
template <auto Counts, class X>
constexpr auto mean_over_positions(const X& x) {
  return sum_over_positions(kept(Counts(), x)) / sum_over_positions(kept(Counts(), 1.0));
}

template <auto Tis, class W>
constexpr auto run_metrics(const W& weight, double cap) {
  return metrics(tis_mean(weight), tis_cap_frac(Tis.raw() > cap),
                 drift_metrics(fields::logprobs, fields::old_logprobs));
}

}  // namespace fireworks
}  // namespace gradwire::inline v0
