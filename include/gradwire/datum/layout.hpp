// SPDX-License-Identifier: Apache-2.0
// Where the values of a batch lie: rows of real length, each beginning at a multiple of 16 elements, so that a kernel
// reads whole lane blocks and every row is aligned to 64 bytes in float and in double.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <gradwire/datum/shared.hpp>

namespace gradwire::inline v0 {

// Roles of a sequence in a preference pair, as `layout::role` holds them.
inline constexpr unsigned char no_role = 0;
inline constexpr unsigned char chosen_role = 1;
inline constexpr unsigned char rejected_role = 2;

class layout : public detail::counted_object<layout> {
 public:
  static constexpr std::size_t row_alignment = 16;  // elements

  // lengths: targets of each sequence; group_sizes: sequences of each group, in order; roles: one a sequence.
  layout(std::span<const std::size_t> lengths, std::span<const std::size_t> group_sizes,
         std::span<const unsigned char> roles, std::size_t candidates)
      : length(lengths.begin(), lengths.end()), role(roles.begin(), roles.end()), candidates_(candidates) {
    offset.reserve(lengths.size());
    group_begin.reserve(group_sizes.size() + 1);
    for (auto targets : lengths) {
      offset.push_back(padded_);
      tokens_ += targets;
      padded_ += (targets + row_alignment - 1) / row_alignment * row_alignment;
    }
    std::size_t first = 0;
    for (auto size : group_sizes) {
      group_begin.push_back(first);
      first += size;
    }
    group_begin.push_back(first);
  }

  std::size_t sequences() const noexcept { return length.size(); }
  std::size_t groups() const noexcept { return group_begin.size() - 1; }
  std::size_t tokens() const noexcept { return tokens_; }          // real targets
  std::size_t padded() const noexcept { return padded_; }          // elements of a per-token column
  std::size_t candidates() const noexcept { return candidates_; }  // K of top-K data, 0 if there are none

  // A batch shows its layout as const only, so these never change after construction.
  std::vector<std::size_t> offset;       // first element of row s
  std::vector<std::size_t> length;       // targets of sequence s
  std::vector<std::size_t> group_begin;  // first sequence of group g; one entry more than groups
  std::vector<unsigned char> role;       // of sequence s: no_role, chosen_role or rejected_role

 private:
  std::size_t tokens_ = 0;
  std::size_t padded_ = 0;
  std::size_t candidates_ = 0;
};

}  // namespace gradwire::inline v0
