// SPDX-License-Identifier: Apache-2.0
// The negative log-likelihood of the chosen sequences, to add to another loss.  source: TRL, trainer/dpo_trainer.py
//
//   L = −Σ w·logprob / Σ w          over all tokens of the batch's chosen sequences        (loss_type sft)
//
// Reads per token: logprobs (nats), weights. Data: group(chosen(c), rejected(r)).
#pragma once

#include <gradwire/loss/parts/preference.hpp>

namespace gradwire::inline v0 {
namespace trl {

struct dpo_sft {
  constexpr auto operator()() const { return objective(chosen_nll(), metric<"nll">(chosen_nll())); }
};

}  // namespace trl
}  // namespace gradwire::inline v0
