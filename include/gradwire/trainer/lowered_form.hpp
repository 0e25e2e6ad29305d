// SPDX-License-Identifier: Apache-2.0
// What lower() has recognised a loss to be.
#pragma once

#include <string>
#include <string_view>

namespace gradwire::inline v0 {
namespace detail {

// The server's loss that a formula is, and what its inputs are made of.
struct lowered_form {
  std::string name{};              // the server's
  double scale = 1;                // of the weights or the advantages
  double low = 0, high = 0;        // bounds of the ratio: ppo and cispo
  std::string_view old_field{};    // names of fields; not of cross_entropy
  std::string_view advantage{};    // …
  bool counts_weights = true;      // else every weight that is not 0 counts as 1
  bool needs_no_negative = false;  // a negative weight would turn the minimum round
};

}  // namespace detail

template <class Loss>
struct lowered {
  Loss loss{};
  detail::lowered_form form{};
};

namespace detail {
template <class Loss>
inline constexpr bool is_lowered = false;
template <class Loss>
inline constexpr bool is_lowered<lowered<Loss>> = true;
}  // namespace detail
}  // namespace gradwire::inline v0
