// SPDX-License-Identifier: Apache-2.0
// Says where a loss that is not finite began.
#pragma once

#include <gradwire/gradient/culprit.hpp>
#include <gradwire/trainer/custom_loss.hpp>

namespace gradwire::inline v0 {
namespace detail {

GRADWIRE_DECL void throw_not_finite(const formula::tree& formula, const formula::table& data, const batch_state& state,
                                    std::string_view variable, double loss, std::int64_t bad, double slope) {
  throw_culprit(*search_culprit(formula, data, state, {variable, loss, bad, slope}), "; nothing was sent back");
}

}  // namespace detail
}  // namespace gradwire::inline v0
