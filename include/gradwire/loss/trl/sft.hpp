// SPDX-License-Identifier: Apache-2.0
// Supervised fine-tuning.                                                       source: TRL, trainer/sft_trainer.py
//
//   nll:  L = −Σ w·logprob / Σ w                       (loss_type nll)
//   dft:  L = −Σ w·sg(e^logprob)·logprob / Σ w         (loss_type dft, arXiv:2508.05629)
//
// Divisor: all tokens of the batch. Reads per token: logprobs (nats), weights.
#pragma once

#include <gradwire/loss/dft.hpp>
#include <gradwire/loss/sft_nll.hpp>

namespace gradwire::inline v0 {
namespace trl {

using sft = sft_nll;
using dft = gradwire::dft;

}  // namespace trl
}  // namespace gradwire::inline v0
