// SPDX-License-Identifier: Apache-2.0
// Over what a value is one value: a candidate of a token, a token, a sequence, a group of sequences, the batch.
// Finer extents come first; a coarser value can be used inside a finer formula, only a reduction goes the other way.
#pragma once

namespace gradwire::inline v0 {

enum class extent : unsigned char { candidate, token, sequence, group, batch };

inline constexpr extent per_candidate = extent::candidate;
inline constexpr extent per_token = extent::token;
inline constexpr extent per_sequence = extent::sequence;
inline constexpr extent per_group = extent::group;
inline constexpr extent per_batch = extent::batch;

constexpr const char* to_string(extent level) noexcept {
  constexpr const char* names[] = {"per candidate", "per token", "per sequence", "per group", "per batch"};
  return names[static_cast<unsigned>(level)];
}

}  // namespace gradwire::inline v0
