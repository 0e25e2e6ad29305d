// SPDX-License-Identifier: Apache-2.0
// Where the values of a batch lie: rows of real length, each beginning at a multiple of 16 elements, so that a kernel
// reads whole lane blocks and every row is aligned to 64 bytes in float and in double.
#pragma once

#include <cstddef>
#include <utility>

#include <gradwire/datum/dynamic_array.hpp>
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
  layout(detail::dynamic_array<std::size_t> lengths, const detail::dynamic_array<std::size_t>& group_sizes,
         detail::dynamic_array<unsigned char> roles, std::size_t candidates)
      : offset(lengths.size()),
        length(std::move(lengths)),
        group_begin(group_sizes.size() + 1),
        role(std::move(roles)),
        candidates_(candidates) {
    for (std::size_t s = 0; s < length.size(); ++s) {
      offset[s] = padded_;
      tokens_ += length[s];
      padded_ += (length[s] + row_alignment - 1) / row_alignment * row_alignment;
    }
    for (std::size_t g = 0; g < group_sizes.size(); ++g) group_begin[g + 1] = group_begin[g] + group_sizes[g];
  }

  std::size_t sequences() const noexcept { return length.size(); }
  std::size_t groups() const noexcept { return group_begin.size() - 1; }
  std::size_t tokens() const noexcept { return tokens_; }          // real targets
  std::size_t padded() const noexcept { return padded_; }          // elements of a per-token column
  std::size_t candidates() const noexcept { return candidates_; }  // K of top-K data, 0 if there are none

  // A batch shows its layout as const only, so these never change after construction.
  detail::dynamic_array<std::size_t> offset;       // first element of row s
  detail::dynamic_array<std::size_t> length;       // targets of sequence s
  detail::dynamic_array<std::size_t> group_begin;  // first sequence of group g; one entry more than groups
  detail::dynamic_array<unsigned char> role;       // of sequence s: no_role, chosen_role or rejected_role

 private:
  std::size_t tokens_ = 0;
  std::size_t padded_ = 0;
  std::size_t candidates_ = 0;
};

}  // namespace gradwire::inline v0
