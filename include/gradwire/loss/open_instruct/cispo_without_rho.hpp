// SPDX-License-Identifier: Apache-2.0
// open-instruct's loss_fn "cispo" with use_rho_correction off.
// Source: allenai/open-instruct, open_instruct/grpo_utils.py compute_grpo_loss
//
//   L = Σ_i Σ_t m·[ −sg(min(r, 1 + ε_h))·A·logprob + β·kl ] / Σ_i |y_i|,   r = exp(logprob − old)
//   kl and loss_denominator as in open_instruct::cispo
//
// Reads per token: logprobs, old_logprobs, ref_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/open_instruct.hpp>

namespace gradwire::inline v0 {
namespace open_instruct {

// The token mean of the whole batch.
struct cispo_without_rho {
  offset clip_higher = offset{0.272};  // ε_h, how far the weight may rise above 1; no lower edge
  double beta = 0.05;                  // β, weight of the KL to the reference, per nat
  int kl_estimator = 2;                // 0 … 3
  double loss_denominator = 0;         // tokens; 0: the number of unmasked tokens ("token")

  constexpr auto operator()() const {
    using namespace fields;
    auto ratio = let<"ratio">(gradwire::ratio(logprobs, old_logprobs));
    auto gain = stop_gradient(min(ratio, high(clip_higher))) * advantage * logprobs;
    auto kl = kl_estimate(kl_estimator, ratio);
    return objective_with(reduced(weighted_kl(beta, kl) - gain, loss_denominator), metric<"kl">(token_mean(kl)),
                          out_of_band_frac(ratio, 0, high(clip_higher)), drift_metrics(logprobs, old_logprobs));
  }
};

}  // namespace open_instruct
}  // namespace gradwire::inline v0
