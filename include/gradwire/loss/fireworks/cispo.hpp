// SPDX-License-Identifier: Apache-2.0
// Fireworks' CISPO.
// Source: fw-ai/cookbook, training/utils/rl/cispo.py, tis.py
//
//   L = −Σ_i Σ_t m·w·sg(clip(r, 1 − ε_l, 1 + ε_h))·A·logprob                          a raw sum
//   r = exp clamp(logprob − old, −cap, cap);  w = min(ρ, tis_cap), ρ = exp clamp(old − sampler, −20, 20), detached
//   w is 1 where m ≤ 0.5, and a sequence without an m above that is left out.
// Tinker's built-in cispo clips to [0, 4] instead: another algorithm unless thresholds are sent.
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/fireworks.hpp>

namespace gradwire::inline v0 {
namespace fireworks {

// The raw sum over tokens, weighted by token against train-inference mismatch.
template <auto Tis = token_tis>
struct cispo {
  offset eps_low = offset{0.2};        // ε_l, how far the weight may fall below 1
  offset eps_high = offset{0.28};      // ε_h, how far it may rise above 1
  double ratio_log_cap = 20.0;         // clamp of the log ratio, nats
  bound tis_cap = bound{5.0};          // cap of ρ
  bound icepop_threshold = unbounded;  // tokens with ρ outside [1/this, this] get 0 (token weights only)

  constexpr auto operator()() const {
    using namespace fields;
    auto ratio = let<"ratio">(clamped_ratio(logprobs, old_logprobs, ratio_log_cap));
    auto weight = let<"tis">(Tis(tis_cap.value, icepop_threshold.value));
    auto gain = cispo_weight(ratio, low(eps_low), high(eps_high)) * advantage * logprobs;
    return objective_with(raw_sum(-(weight * gain)), out_of_band_frac(ratio, low(eps_low), high(eps_high)),
                          run_metrics<Tis>(weight, tis_cap.value));
  }
};

// The same, weighted by sequence (the geometric mean of ρ).
using cispo_with_tis_sequence = cispo<sequence_tis>;

}  // namespace fireworks
}  // namespace gradwire::inline v0
