// SPDX-License-Identifier: Apache-2.0
// TRL's clipped losses with off-policy sequence masking (DeepSeek-V3.2).
// Source: huggingface/trl, trl/trainer/grpo_trainer.py get_off_policy_mask
//
//   x = −keep·min( min(r, δ)·A, clip(r, 1 − ε, 1 + ε_high)·A ) + β·k3(logprob, ref)·[r];   reductions as in trl::grpo
//   keep = not (A < 0 and mean_t (behaviour − logprob) > threshold)
//   behaviour: the sampler's logprobs where vLLM sampled, else the old ones (…_of_old)
//
// TRL's default threshold is None; 0.5 is its documentation's.
// Reads per token: logprobs, old_logprobs, sampler_logprobs, ref_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/trl.hpp>

namespace gradwire::inline v0 {
namespace trl {

template <auto Behaviour, auto Reduce>
struct masked_grpo {
  offset epsilon = offset{0.2};            // ε, how far the ratio may fall below 1
  offset epsilon_high = epsilon;           // ε_high, how far it may rise above 1
  bound delta = unbounded;                 // δ, cap of the ratio for both signs of the advantage
  double beta = 0.0;                       // β, weight of the KL to the reference, per nat
  bool use_bias_correction_kl = false;     // multiply the KL by the ratio
  double off_policy_mask_threshold = 0.5;  // nats per token

  constexpr auto operator()() const {
    using namespace fields;
    auto ratio = let<"ratio">(token_level());
    auto gain = two_sided(ratio, advantage, low(epsilon), high(epsilon_high), delta.value);
    auto kl = trl_kl(ratio, use_bias_correction_kl);
    auto keep = opsm(advantage, logprobs, Behaviour, off_policy_mask_threshold);
    return clipped_objective(Reduce, ratio, kept(keep, gain), kl, beta, low(epsilon), high(epsilon_high));
  }
};

using grpo_with_off_policy_mask = masked_grpo<fields::sampler_logprobs, sequence_mean_of_all>;
using dapo_with_off_policy_mask = masked_grpo<fields::sampler_logprobs, token_mean>;
using grpo_with_off_policy_mask_of_old = masked_grpo<fields::old_logprobs, sequence_mean_of_all>;
using dapo_with_off_policy_mask_of_old = masked_grpo<fields::old_logprobs, token_mean>;

}  // namespace trl
}  // namespace gradwire::inline v0
