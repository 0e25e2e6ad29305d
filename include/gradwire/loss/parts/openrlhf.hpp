// SPDX-License-Identifier: Apache-2.0
// OpenRLHF's three corrections for the engine (vllm_is_correction_type), as functions of a surrogate and the two
// thresholds of ρ = exp(old − sampler). Source: OpenRLHF, openrlhf/models/loss.py PolicyLoss
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>

namespace gradwire::inline v0 {
namespace openrlhf {

inline constexpr auto tis_correction = [](const auto& s, double from, double to) {
  return tis(s, rho(fields::old_logprobs, fields::sampler_logprobs), from, to);
};
inline constexpr auto icepop_correction = [](const auto& s, double from, double to) {
  return icepop(s, rho(fields::old_logprobs, fields::sampler_logprobs), from, to);
};
inline constexpr auto seq_mask_tis_correction = [](const auto& s, double from, double to) {
  using namespace fields;
  const auto weight = rho(old_logprobs, sampler_logprobs);
  const auto keep = sequence_mask_geometric(old_logprobs, sampler_logprobs, from, to);
  return kept(keep, weighted(s, weight, tis_mean(weight), ess(weight)), dropped_frac(keep));
};

}  // namespace openrlhf
}  // namespace gradwire::inline v0
