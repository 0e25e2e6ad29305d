// SPDX-License-Identifier: Apache-2.0
// What the losses of TRL's GRPOTrainer share.
// Source: huggingface/trl, trl/trainer/grpo_trainer.py
//
//   importance_sampling_level  token_level: r = exp(logprob − old); sequence_level: exp(mean_t (logprob − old));
//                              sequence_token_level: that value, each token's own logprob as carrier of the gradient
//   trl_kl                     k3(logprob, ref), times r if use_bias_correction_kl (r then carries a gradient too)
//   token_truncate, …          weights v from ρ = exp(old − sampler), or exp Σ_t log ρ of the sequence, and two bounds:
//                              …_truncate clamps, …_mask puts 0 outside; v multiplies the policy term, not the KL
#pragma once

#include <gradwire/loss/parts/correction.hpp>
#include <gradwire/loss/parts/kl.hpp>
#include <gradwire/loss/parts/metrics.hpp>
#include <gradwire/loss/parts/policy.hpp>
#include <gradwire/loss/parts/ratio.hpp>

namespace gradwire::inline v0 {
namespace trl {

inline constexpr struct token_level_t {
  constexpr auto operator()() const { return ratio(fields::logprobs, fields::old_logprobs); }
} token_level{};
inline constexpr struct sequence_level_t {
  constexpr auto operator()() const { return sequence_ratio(fields::logprobs, fields::old_logprobs); }
} sequence_level{};
inline constexpr struct sequence_token_level_t {
  constexpr auto operator()() const {
    return sequence_ratio_as_token(fields::logprobs, fields::old_logprobs, no_limit);
  }
} sequence_token_level{};

template <expression R>
constexpr auto trl_kl(const R& ratio, bool use_bias_correction_kl) {
  const auto kl = k3(fields::logprobs, fields::ref_logprobs);
  return let<"kl">(kl * where(constant{use_bias_correction_kl ? 1.0 : 0.0} > 0, ratio, 1.0));
}

inline constexpr struct token_truncate_t {
  constexpr auto operator()(bound low, bound high) const {
    return tis_token(fields::old_logprobs, fields::sampler_logprobs, low.value, high.value);
  }
} token_truncate{};
inline constexpr struct token_mask_t {
  constexpr auto operator()(bound low, bound high) const {
    return icepop(fields::old_logprobs, fields::sampler_logprobs, low.value, high.value);
  }
} token_mask{};
inline constexpr struct sequence_truncate_t {
  constexpr auto operator()(bound low, bound high) const {
    return clamp(rho_product(fields::old_logprobs, fields::sampler_logprobs), low.value, high.value);
  }
} sequence_truncate{};
inline constexpr struct sequence_mask_t {
  constexpr auto operator()(bound low, bound high) const {
    const auto weight = rho_product(fields::old_logprobs, fields::sampler_logprobs);
    return kept(inside(weight, low.value, high.value), weight);
  }
} sequence_mask{};

// clip_low, clip_high, region: shares of the tokens, or of the sequences for a sequence ratio, beyond the edge on the
// side where it stops the gradient; before δ caps the ratio (TRL counts after).
template <class C>
constexpr auto share_of(const C& condition) {
  if constexpr (C::level == extent::sequence)
    return mean_over_sequences<all_masked::counts>(as_expression(condition));
  else
    return token_mean(as_expression(condition));
}
template <expression R>
constexpr auto clip_region(const R& ratio, double low, double high) {
  const auto below = ratio < low && fields::advantage < 0;
  const auto above = ratio > high && fields::advantage > 0;
  return metrics(metric<"clip_low">(share_of(below)), metric<"clip_high">(share_of(above)),
                 metric<"region">(share_of(below || above)));
}

// The loss of a clipped gain with its KL, and the metrics of all of these.
template <class Reduce, class R, class G, class K, class... Metrics>
constexpr auto clipped_objective(const Reduce& reduce, const R& ratio, const G& gain, const K& kl, double beta,
                                 double low, double high, const Metrics&... more) {
  return objective_with(reduce(weighted_kl(beta, kl) - gain), metric<"kl">(token_mean(kl)),
                        clip_region(ratio, low, high), drift_metrics(fields::logprobs, fields::old_logprobs), more...);
}

}  // namespace trl
}  // namespace gradwire::inline v0
