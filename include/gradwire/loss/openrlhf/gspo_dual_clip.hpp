// SPDX-License-Identifier: Apache-2.0
// OpenRLHF's policy loss of type "gspo" with dual clip.          source: OpenRLHF, openrlhf/models/loss.py PolicyLoss
//
//   as gspo.hpp, and where A < 0 at most −c·A
//
// Reads per token: logprobs, old_logprobs (nats), weights; per sequence: advantage.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>

namespace gradwire::inline v0 {
namespace openrlhf {

struct gspo_dual_clip {
  offset clip_eps_low{0.2};   // trust region below 1, dimensionless
  offset clip_eps_high{0.2};  // trust region above 1, dimensionless
  bound dual_clip{3.0};       // c, cap of the sequence's ratio where A < 0, dimensionless; off by default

  constexpr auto operator()() const {
    using namespace fields;
    const auto s = let<"sequence_ratio">(sequence_ratio(logprobs, old_logprobs));
    const auto gain = gradwire::dual_clip(s, advantage, low(clip_eps_low), high(clip_eps_high), high(dual_clip));
    return objective_with(
        sequence_mean_with_epsilon(-gain), clip_metrics(s, advantage, low(clip_eps_low), high(clip_eps_high)),
        dual_clip_frac(s, advantage, low(clip_eps_low), high(dual_clip)), drift_metrics(logprobs, old_logprobs));
  }
};

}  // namespace openrlhf
}  // namespace gradwire::inline v0
