// SPDX-License-Identifier: Apache-2.0
// Fireworks' DRO.
// Source: fw-ai/cookbook, training/utils/rl/dro.py, tis.py
//
//   L = −Σ_i Σ_t m·( w·A·logprob − ½β·(logprob − old)²·[A ≠ 0] )                       a raw sum
//   w = min(ρ, tis_cap), ρ = exp clamp(old − sampler, −20, 20), detached; the quadratic is not weighted by it
//   w is 1 where m ≤ 0.5, and a sequence without an m above that is left out.
// TuFT's and Tinker's quadratic runs over all positions, A = 0 and masked ones too.
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/fireworks.hpp>

namespace gradwire::inline v0 {
namespace fireworks {

// The raw sum over tokens, weighted by token against train-inference mismatch.
template <auto Tis = token_tis>
struct dro {
  using breaks_contract = broken<breaks<rule::scale, "the quadratic is switched by A, not scaled by it">>;
  double beta = 0.05;                  // β, strength of the pull towards the old policy, per nat²
  bound tis_cap = bound{5.0};          // cap of ρ
  bound icepop_threshold = unbounded;  // tokens with ρ outside [1/this, this] get 0 (token weights only)

  constexpr auto operator()() const {
    using namespace fields;
    auto weight = let<"tis">(Tis(tis_cap.value, icepop_threshold.value));
    auto penalty = let<"penalty">(kept(!(advantage == 0), 0.5 * beta * square(logprobs - old_logprobs)));
    return objective_with(raw_sum(penalty - weight * advantage * logprobs),
                          metric<"dro_quad_penalty">(token_mean(penalty)), run_metrics<Tis>(weight, tis_cap.value));
  }
};

// The same, weighted by sequence (the geometric mean of ρ).
using dro_with_tis_sequence = dro<sequence_tis>;

}  // namespace fireworks
}  // namespace gradwire::inline v0
