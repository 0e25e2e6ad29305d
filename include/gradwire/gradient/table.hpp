// SPDX-License-Identifier: Apache-2.0
// A batch as plain doubles: its columns by name and its shape, copied once, so that what walks over a formula::tree is
// compiled once and not for every set of fields.
//
// The element of token t of sequence s is offset[s] + t, of its candidate k that + k · padded; a sequence, a group and
// the batch are their index and 0. Elements between the rows are padding and hold 0.
#pragma once

#include <gradwire/datum/batch.hpp>
#include <string_view>
#include <vector>

namespace gradwire::inline v0 {
namespace formula {

struct table_column {
  std::string_view name;
  extent level = extent::token;
  std::vector<double> values;  // one an element of `level`
};

struct table {
  using counts = std::vector<std::size_t>;
  std::size_t sequences = 0, groups = 0, candidates = 0, padded = 0;
  counts offset, length;            // of sequence s
  counts group_begin;               // first sequence of group g, and one entry more
  std::vector<unsigned char> role;  // of sequence s: no_role, chosen_role or rejected_role
  std::vector<table_column> columns;

  counts tokens;                     // elements that are tokens, in order
  counts sequence_of;                // of an element of a token
  counts group_of;                   // of a sequence
  std::vector<double> weights;       // of an element of a token
  std::vector<double> weight_sum;    // of a sequence
  std::vector<double> weight_count;  // of a sequence: tokens with w ≠ 0
  std::vector<double> group_count;   // of a group: sequences with any w ≠ 0

  const table_column* find(std::string_view name) const {
    for (const auto& column : columns)
      if (column.name == name) return &column;
    return nullptr;
  }
  // Size of an array with one value an element.
  std::size_t elements(extent level) const {
    switch (level) {
      case extent::candidate:
        return candidates * padded;
      case extent::token:
        return padded;
      case extent::sequence:
        return sequences;
      case extent::group:
        return groups;
      case extent::batch:
        return 1;
    }
    return 0;
  }
  // Calls f(element) for every element that is no padding.
  template <class F>
  void for_each(extent level, F&& f) const {
    if (level == extent::candidate) {
      for (std::size_t k = 0; k < candidates; ++k)
        for (const std::size_t e : tokens) f(k * padded + e);
    } else if (level == extent::token) {
      for (const std::size_t e : tokens) f(e);
    } else {
      for (std::size_t e = 0; e < elements(level); ++e) f(e);
    }
  }
  // The element of a coarser extent to which an element belongs.
  std::size_t coarser(extent from, std::size_t element, extent to) const {
    if (to == extent::batch) return 0;
    if (from == extent::candidate && from != to) element %= padded, from = extent::token;
    if (from == extent::token && from != to) element = sequence_of[element], from = extent::sequence;
    if (from == extent::sequence && from != to) element = group_of[element];
    return element;
  }
  // Has a sequence or a group any w ≠ 0?
  bool counted(extent level, std::size_t element) const {
    return level == extent::sequence ? weight_count[element] != 0 : group_count[element] != 0;
  }

  // Fills in what follows from the columns and the shape.
  void complete() {
    sequence_of.assign(padded, 0);
    group_of.assign(sequences, 0);
    weight_sum.assign(sequences, 0);
    weight_count.assign(sequences, 0);
    group_count.assign(groups, 0);
    tokens.clear();
    weights = find("weights")->values;
    for (std::size_t g = 0; g < groups; ++g) {
      for (std::size_t s = group_begin[g]; s < group_begin[g + 1]; ++s) {
        group_of[s] = g;
        for (std::size_t e = offset[s]; e < offset[s] + length[s]; ++e) {
          tokens.push_back(e);
          sequence_of[e] = s;
          weight_sum[s] += weights[e];
          weight_count[s] += weights[e] != 0;
        }
        group_count[g] += weight_count[s] != 0;
      }
    }
  }
};

template <class F, class T, class... Fields>
void copy_column(const batch<T, Fields...>& from, table& to) {
  const T* const values = from.data(F{});
  to.columns.push_back({F::info.name, F::level, {values, values + to.elements(F::level)}});
}

template <class T, class... Fields>
[[gnu::noinline]] table table_of(const batch<T, Fields...>& from) {
  const layout& shape = from.shape();
  table to;
  to.sequences = shape.sequences();
  to.groups = shape.groups();
  to.candidates = shape.candidates();
  to.padded = shape.padded();
  to.offset.assign(shape.offset.begin(), shape.offset.end());
  to.length.assign(shape.length.begin(), shape.length.end());
  to.group_begin.assign(shape.group_begin.begin(), shape.group_begin.end());
  to.role.assign(shape.role.begin(), shape.role.end());
  copy_column<detail::weights_field>(from, to);
  (copy_column<Fields>(from, to), ...);
  to.complete();
  return to;
}

}  // namespace formula
}  // namespace gradwire::inline v0
