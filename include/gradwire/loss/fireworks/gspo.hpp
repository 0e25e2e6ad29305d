// SPDX-License-Identifier: Apache-2.0
// Fireworks' GSPO, whose sequence ratio ignores the mask.
// Source: fw-ai/cookbook, training/utils/rl/gspo.py, tis.py
//
//   L = Σ_i Σ_t m·w·max(−s_t·A, −clip(s_t, 1 − ε_l, 1 + ε_h)·A)                       a raw sum, no 1/|y_i|
//   s_t = exp min(logprob − sg(logprob) + sg(S), cap),   S = mean of logprob − old over ALL positions, masked ones too
//   w = min(ρ, tis_cap), ρ = exp clamp(old − sampler, −20, 20), detached
//   w is 1 where m ≤ 0.5, and a sequence without an m above that is left out.
//
// gspo takes every position of the columns, so they must be cut to the response; gspo_after_prompt starts at the first
// unmasked token, as the cookbook's prompt_len does.
// Reads per token: logprobs, old_logprobs, sampler_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/fireworks.hpp>

namespace gradwire::inline v0 {
namespace fireworks {

// Over every position of the columns, weighted by token against train-inference mismatch.
template <auto Tis = token_tis, auto Counts = any_position>
struct gspo {
  using breaks_contract =
      broken<breaks<rule::mask_isolation, "the mean of the log ratio runs over masked positions too">,
             breaks<rule::padding_invariance, "masked positions at the end enter the mean">>;
  offset clip_ratio_low = offset{0.2};   // ε_l, how far the sequence ratio may fall below 1
  offset clip_ratio_high = offset{0.2};  // ε_h, how far it may rise above 1
  double seq_ratio_log_cap = 10.0;       // upper clamp of the log ratio, nats; no gradient beyond
  bound tis_cap = bound{5.0};            // cap of ρ
  bound icepop_threshold = unbounded;    // tokens with ρ outside [1/this, this] get 0 (token weights only)

  constexpr auto operator()() const {
    using namespace fields;
    auto mean = stop_gradient(mean_over_positions<Counts>(logprobs - old_logprobs));
    auto ratio = let<"ratio">(exp(min(logprobs - stop_gradient(logprobs) + mean, seq_ratio_log_cap)));
    auto weight = let<"tis">(Tis(tis_cap.value, icepop_threshold.value));
    auto gain = ppo_clip(ratio, advantage, low(clip_ratio_low), high(clip_ratio_high));
    return objective_with(raw_sum(-(weight * gain)),
                          out_of_band_frac(ratio, low(clip_ratio_low), high(clip_ratio_high)),
                          run_metrics<Tis>(weight, tis_cap.value));
  }
};

// The same, weighted by sequence (the geometric mean of ρ).
using gspo_with_tis_sequence = gspo<sequence_tis>;
// The mean starts at the first unmasked token: for columns that carry a prompt.
using gspo_after_prompt = gspo<token_tis, after_prompt>;

}  // namespace fireworks
}  // namespace gradwire::inline v0
