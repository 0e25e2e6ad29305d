// SPDX-License-Identifier: Apache-2.0
// TRL's CISPO, corrected for sampling by vLLM.
// Source: huggingface/trl, trl/trainer/grpo_trainer.py
//
//   L = Σ_i Σ_t m·x / Σ_i |y_i|,   x = −v·sg(min(r, epsilon_high))·A·logprob;   v as in trl/corrected_grpo.hpp
//   epsilon_high is the cap of the ratio itself; its default is the trainer's 0.2 (papers: 2 … 8). β = 0.
//
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/trl.hpp>

namespace gradwire::inline v0 {
namespace trl {

template <auto Correction>
struct corrected_cispo {
  bound epsilon_high = bound{0.2};                       // cap of the ratio
  bound vllm_importance_sampling_clip_min = bound{0};    // of ρ or its product; 0: none
  bound vllm_importance_sampling_clip_max = bound{3.0};  // of ρ or its product

  constexpr auto operator()() const {
    using namespace fields;
    auto ratio = let<"ratio">(token_level());
    auto v = let<"correction">(Correction(vllm_importance_sampling_clip_min, vllm_importance_sampling_clip_max));
    auto weight = v * stop_gradient(min(ratio, epsilon_high.value));
    return objective_with(token_mean(-(weight * advantage * logprobs)), tis_mean(v),
                          metric<"clip_high">(token_mean(as_expression(ratio > epsilon_high.value && advantage > 0))),
                          drift_metrics(logprobs, old_logprobs), mismatch_metrics(old_logprobs, sampler_logprobs));
  }
};

using cispo_with_token_truncate = corrected_cispo<token_truncate>;
using cispo_with_token_mask = corrected_cispo<token_mask>;
using cispo_with_sequence_truncate = corrected_cispo<sequence_truncate>;
using cispo_with_sequence_mask = corrected_cispo<sequence_mask>;

}  // namespace trl
}  // namespace gradwire::inline v0
