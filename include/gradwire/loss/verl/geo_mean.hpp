// SPDX-License-Identifier: Apache-2.0
// verl's policy loss "geo_mean": GMPO, arXiv:2507.20673.                 source: verl, verl/trainer/ppo/core_algos.py
//
//   L = 1/B Σ_i −A·n/(n + 1e-8)·exp(Σ_t k / (n + 1e-8)),   n = |y_i|, B every sequence, all-masked ones too
//   k = min(d, ε_high) where A > 0, max(d, −ε_low) where A < 0,   d = logprob − old
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>
#include <gradwire/loss/parts/verl.hpp>

namespace gradwire::inline v0 {
namespace verl {

// GMPO: the geometric mean of the ratios, each token clipped in log space.
struct geo_mean {
  offset clip_ratio_low{0.2};   // ε below, of the log ratio, nats
  offset clip_ratio_high{0.2};  // ε above, of the log ratio, nats

  constexpr auto operator()() const {
    using namespace fields;
    const auto d = logprobs - old_logprobs;
    const auto k = gmpo_log_ratio(d, advantage, clip_ratio_low.value, clip_ratio_high.value);
    const auto n = terminals::weight_sum;
    const auto gain = advantage * (n / (n + 1e-8)) * exp(sum_over_tokens(k) / (n + 1e-8));
    return objective_with(mean_over_sequences<all_masked::counts>(-gain),
                          clip_metrics<masked_mean>(d, advantage, -clip_ratio_low.value, clip_ratio_high.value),
                          drift_metrics<masked_mean>(logprobs, old_logprobs));
  }
};

}  // namespace verl
}  // namespace gradwire::inline v0
