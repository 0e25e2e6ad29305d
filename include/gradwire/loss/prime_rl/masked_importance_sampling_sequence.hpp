// SPDX-License-Identifier: Apache-2.0
// prime-rl's default loss until March 2026, ratio_type "sequence": masked importance sampling.
// Source: PrimeIntellect-ai/prime-rl, src/prime_rl/trainer/rl/loss.py default_loss_fn at bf71516c9
//
//   L = −1/B Σ_i 1/|y_i| Σ_t m·keep·sg( s·(adv_tau·A − kl_tau·log r) )·logprob,      r = exp(logprob − sampler)
//   s = min(exp min(Σ_t log r, 10), sequence_clip_high): the product, not a mean
//   keep: r of the token, its geometric mean over the sequence, and every r of the sequence within their bounds
//   B: every sequence, all-masked ones too
//
// Reads per token: logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/prime_rl.hpp>

namespace gradwire::inline v0 {
namespace prime_rl {

// The mean over sequences of their token means, under the ratio of the whole sequence.
struct masked_importance_sampling_sequence {
  bound token_mask_low = bound{0.125};    // of the token's ratio
  bound token_mask_high = bound{8.0};     // of the token's ratio
  bound geo_mask_low = bound{0.1};        // of the ratios' geometric mean over the sequence
  bound geo_mask_high = bound{10.0};      // of the ratios' geometric mean over the sequence
  bound sequence_mask_low = bound{0};     // of every ratio of the sequence
  bound sequence_mask_high = bound{100};  // of every ratio of the sequence
  bound sequence_clip_high = bound{10};   // cap of the sequence's ratio
  double adv_tau = 1.0;                   // scale of the advantage
  double kl_tau = 0.0;                    // weight of the log ratio in the advantage, per nat

  constexpr auto operator()() const {
    using namespace fields;
    const ratio_masks masks{token_mask_low, token_mask_high,   geo_mask_low,
                            geo_mask_high,  sequence_mask_low, sequence_mask_high};
    auto weight = let<"sequence_ratio">(
        min(exp(min(sum_over_tokens(log_rho(logprobs, sampler_logprobs)), 10)), sequence_clip_high.value));
    return objective_with(sequence_mean_of_all(masked_term(weight, masks, adv_tau, kl_tau)),
                          drift_metrics(logprobs, sampler_logprobs));
  }
};

}  // namespace prime_rl
}  // namespace gradwire::inline v0
