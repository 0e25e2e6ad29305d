// SPDX-License-Identifier: Apache-2.0
// TuFT's dro, whose quadratic has no mask.
// Source: agentscope-ai/TuFT, src/tuft/loss_fn/dro.py
//
//   L = −Σ_i [ Σ_t m·A·logprob − ½β·Σ_t (logprob − old)² ]          a raw sum; the second over ALL positions, prompt
//   and masked ones too: the server has no mask, an advantage of 0 stands for it. fireworks::dro stops where A = 0.
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/tinker/dro.hpp>

namespace gradwire::inline v0 {
namespace tuft {

// The raw sum over tokens, pulled towards the old policy at every position.
struct dro {
  using breaks_contract = tinker::dro::breaks_contract;
  double beta = 0.01;  // β, strength of the pull towards the old policy, per nat²

  constexpr auto operator()() const { return tinker::dro{beta}(); }
};

}  // namespace tuft
}  // namespace gradwire::inline v0
