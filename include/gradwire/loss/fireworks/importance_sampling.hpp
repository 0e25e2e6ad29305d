// SPDX-License-Identifier: Apache-2.0
// Fireworks' unclipped importance sampling.
// Source: fw-ai/cookbook, training/utils/rl/is_loss.py, tis.py
//
//   L = −Σ_i Σ_t m·w·r·A,      r = exp clamp(logprob − old, −cap, cap): no gradient beyond               a raw sum
//   w = min(ρ, tis_cap), ρ = exp clamp(old − sampler, −20, 20), detached
//   w is 1 where m ≤ 0.5, and a sequence without an m above that is left out.
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/fireworks.hpp>

namespace gradwire::inline v0 {
namespace fireworks {

// The raw sum over tokens, weighted by token against train-inference mismatch.
template <auto Tis = token_tis>
struct importance_sampling {
  double ratio_log_cap = 20.0;         // clamp of the log ratio, nats
  bound tis_cap = bound{5.0};          // cap of ρ
  bound icepop_threshold = unbounded;  // tokens with ρ outside [1/this, this] get 0 (token weights only)

  constexpr auto operator()() const {
    using namespace fields;
    auto ratio = let<"ratio">(clamped_ratio(logprobs, old_logprobs, ratio_log_cap));
    auto weight = let<"tis">(Tis(tis_cap.value, icepop_threshold.value));
    return objective_with(raw_sum(-(weight * ratio * advantage)), run_metrics<Tis>(weight, tis_cap.value));
  }
};

// The same, weighted by sequence (the geometric mean of ρ).
using importance_sampling_with_tis_sequence = importance_sampling<sequence_tis>;

}  // namespace fireworks
}  // namespace gradwire::inline v0
