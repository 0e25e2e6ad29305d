// SPDX-License-Identifier: Apache-2.0
// Tinker's dro, whose quadratic has no mask.
// Source: tinker-cookbook, tutorials/202_loss_functions.py; Tinker's server is closed
//
//   L = −Σ_i [ Σ_t m·A·logprob − ½β·Σ_t (logprob − old)² ]          a raw sum; the second over ALL positions, prompt
//   and masked ones too: the server has no mask, an advantage of 0 stands for it. fireworks::dro stops where A = 0.
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/metrics.hpp>

namespace gradwire::inline v0 {
namespace tinker {

// The raw sum over tokens, pulled towards the old policy at every position.
struct dro {
  using breaks_contract = broken<breaks<rule::mask_isolation, "the quadratic runs over all positions">,
                                 breaks<rule::padding_invariance, "the quadratic runs over all positions">,
                                 breaks<rule::empty, "the quadratic runs over all positions">>;
  double beta = 0.05;  // β, strength of the pull to the old policy, per nat²; .05 is not verified, the server is closed

  constexpr auto operator()() const {
    using namespace fields;
    auto quadratic = sum_over_positions(square(logprobs - old_logprobs));
    auto all = formula::reduce<extent::sequence, extent::batch, plain_sum>(quadratic);
    return objective_with(0.5 * beta * all - token_sum(advantage * logprobs), drift_metrics(logprobs, old_logprobs));
  }
};

}  // namespace tinker
}  // namespace gradwire::inline v0
