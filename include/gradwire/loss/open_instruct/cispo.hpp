// SPDX-License-Identifier: Apache-2.0
// open-instruct's loss_fn "cispo".
// Source: allenai/open-instruct, open_instruct/grpo_utils.py compute_grpo_loss
//
//   L = Σ_i Σ_t m·[ −w·sg(min(r, 1 + ε_h))·A·logprob + β·kl ] / Σ_i |y_i|,   r = exp(logprob − old)
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
struct cispo {
  offset clip_higher = offset{0.272};        // ε_h, how far the weight may rise above 1; no lower edge
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
    auto gain = stop_gradient(min(ratio, high(clip_higher))) * advantage * logprobs;
    return weighted_objective(w, gain, kl_estimate(kl_estimator, ratio), beta, loss_denominator,
                              out_of_band_frac(ratio, 0, high(clip_higher)));
  }
};

// rho_mask_sequence_level: the geometric mean of ρ, one value a sequence.
using cispo_with_rho_sequence = cispo<rho_sequence>;
// rho_mask_tv_divergence: bounds on mean |ρ − 1| of the sequence.
using cispo_with_rho_tv = cispo<rho_tv>;

}  // namespace open_instruct
}  // namespace gradwire::inline v0
