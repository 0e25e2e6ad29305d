// SPDX-License-Identifier: Apache-2.0
// Group advantages, one a sequence.             source: OpenRLHF, openrlhf/trainer/ppo_utils/experience_maker.py
//
//   group_norm:          A = (s − mean) / (std + 1e-9), std with n − 1
//   rloo:                A = s − mean of the others
//   dr_grpo:             A = s − mean
//   reinforce_baseline:  A = whiten(s − mean): over unmasked tokens, (x − μ)/√max(var, 1e-8), var with N
//
// A group of one, which the source refuses: 0. Equal rewards: exactly 0. Reads per sequence: reward. The source also
// adds −0.01·(old − ref) to the reward of each token (kl_shaped in parts/kl_reward.hpp) and clamps s to ±10 before
// that.
#pragma once

#include <gradwire/advantage/parts/group_baseline.hpp>
#include <gradwire/advantage/parts/whiten.hpp>

namespace gradwire::inline v0 {
namespace advantages::openrlhf {

inline constexpr auto normalised = [](const auto& s) { return standardised(s, std_over_group<1>(s), 1e-9); };
inline constexpr auto against_others = [](const auto& s) { return leave_one_out(s); };
inline constexpr auto against_mean = [](const auto& s) { return centred(s); };
inline constexpr auto whitened_over_tokens = [](const auto& s) { return whitened(centred(s), openrlhf_whitening); };

template <auto Estimate = normalised>
struct group_norm {
  template <expression S = reward_column>
  constexpr auto operator()(const S& reward = {}) const {
    return Estimate(reward);
  }
};
using rloo = group_norm<against_others>;
using dr_grpo = group_norm<against_mean>;
using reinforce_baseline = group_norm<whitened_over_tokens>;

}  // namespace advantages::openrlhf
}  // namespace gradwire::inline v0
