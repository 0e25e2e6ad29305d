// SPDX-License-Identifier: Apache-2.0
// Binary classifier optimisation: single sequences, desirable or not.   source: TRL, experimental/bco/bco_trainer.py
//
//   L = mean over sequences  −log σ(βu − δ)  where desirable ≠ 0,  −log σ(δ − βu)  elsewhere,   u = Σ_t w·(logprob −
//   ref_logprob)
//
// Divisor: sequences with any w ≠ 0. Reads per token: logprobs, ref_logprobs (nats), weights; per sequence: desirable.
// Paper: arXiv:2404.04656. The source keeps δ as the running mean of all rewards: give it as a number.
#pragma once

#include <gradwire/loss/parts/unpaired.hpp>

namespace gradwire::inline v0 {
namespace trl {

struct bco {
  double beta = 0.1;   // β, inverse temperature of the reward, per nat of the summed log ratio
  double delta = 0.0;  // δ, mean of all rewards βu so far, reward units

  constexpr auto operator()() const {
    const auto reward = beta * log_ratio();
    return unpaired(-log_sigmoid(reward - delta), -log_sigmoid(delta - reward), reward);
  }
};

}  // namespace trl
}  // namespace gradwire::inline v0
