// SPDX-License-Identifier: Apache-2.0
// open-instruct's loss_fn "dapo" (its default).
// Source: allenai/open-instruct, open_instruct/grpo_utils.py compute_grpo_loss
//
//   L = Σ_i Σ_t m·[ w·max(−r·A, −clip(r, 1 − ε_l, 1 + ε_h)·A) + β·kl ] / Σ_i |y_i|,   r = exp(logprob − old)
//   w = clamp(ρ, clamp bounds), 0 outside the mask bounds; ρ = exp clamp(old − sampler, −10, 10), detached
//   kl, d = clamp(logprob − ref, −40, 40):   0: d   1: d²/2   2: e^(−d) + d − 1   3: r·d;   not weighted by w
//   loss_denominator > 0 replaces Σ_i |y_i|. A bound of 0 is off. +rho_sequence, +rho_tv: see parts/open_instruct.hpp
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs, ref_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/open_instruct.hpp>

namespace gradwire::inline v0 {
namespace open_instruct {

// The token mean of the whole batch, with ρ per token.
template <auto Rho = rho_token>
struct dapo {
  offset clip_lower = offset{0.2};           // ε_l, how far the ratio may fall below 1
  offset clip_higher = offset{0.272};        // ε_h, how far it may rise above 1
  double beta = 0.05;                        // β, weight of the KL to the reference, per nat
  int kl_estimator = 2;                      // 0 … 3
  bound rho_clamp_lower_bound = bound{0};    // of ρ; 0: off
  bound rho_clamp_upper_bound = bound{2.0};  // of ρ; 0: off
  bound rho_mask_lower_bound = bound{0};     // of ρ (rho_tv: of mean |ρ − 1|); 0: off
  bound rho_mask_upper_bound = bound{0};     // of ρ (rho_tv: of mean |ρ − 1|); 0: off
  double loss_denominator = 0;               // tokens; 0: the number of unmasked tokens ("token")

  constexpr auto operator()() const {
    using namespace fields;
    auto ratio = let<"ratio">(gradwire::ratio(logprobs, old_logprobs));
    auto w = let<"rho_weight">(
        Rho(rho_clamp_lower_bound, rho_clamp_upper_bound, rho_mask_lower_bound, rho_mask_upper_bound));
    auto gain = ppo_clip(ratio, advantage, low(clip_lower), high(clip_higher));
    return weighted_objective(w, gain, kl_estimate(kl_estimator, ratio), beta, loss_denominator,
                              clip_frac(ratio, advantage, low(clip_lower), high(clip_higher)));
  }
};

// rho_mask_sequence_level: the geometric mean of ρ, one value a sequence.
using dapo_with_rho_sequence = dapo<rho_sequence>;
// rho_mask_tv_divergence: bounds on mean |ρ − 1| of the sequence.
using dapo_with_rho_tv = dapo<rho_tv>;

}  // namespace open_instruct
}  // namespace gradwire::inline v0
