// SPDX-License-Identifier: Apache-2.0
// How accumulate.hpp joins batches.
#pragma once

#include <cstring>
#include <string>

#include <gradwire/trainer/accumulate.hpp>

namespace gradwire::inline v0 {
namespace detail {

inline void append_rows(const layout& from, const block& source, const layout& to, std::size_t first_sequence,
                        std::size_t first_group, extent level, std::size_t bytes, block& out) {
  const auto copy = [&](std::size_t to_index, std::size_t from_index, std::size_t count) {
    std::memcpy(out.data + to_index * bytes, source.data + from_index * bytes, count * bytes);
  };
  if (level == extent::sequence) return copy(first_sequence, 0, from.sequences());
  if (level == extent::group) return copy(first_group, 0, from.groups());
  const std::size_t planes = level == extent::candidate ? from.candidates() : 1;
  for (std::size_t k = 0; k < planes; ++k) {
    for (std::size_t s = 0; s < from.sequences(); ++s) {
      copy(k * to.padded() + to.offset[first_sequence + s], k * from.padded() + from.offset[s], from.length[s]);
    }
  }
}

GRADWIRE_DECL shared<const batch_state> join_batches(std::span<const shared<const batch_state>> parts,
                                                     const field_info* const* infos) {
  if (parts.empty()) throw error(errc::data, "accumulate() was given no batch");
  dynamic_array<std::size_t> lengths, groups;
  dynamic_array<unsigned char> roles;
  shared<token_table> tokens(new token_table);
  const std::size_t candidates = parts[0]->shape->candidates();
  for (const auto& part : parts) {
    const layout& shape = *part->shape;
    if (shape.candidates() != candidates) {
      throw error(errc::data, "accumulate(): one part has " + std::to_string(candidates) +
                                  " candidates a target, another " + std::to_string(shape.candidates()));
    }
    for (std::size_t s = 0; s < shape.sequences(); ++s) {
      lengths.push_back(shape.length[s]);
      roles.push_back(shape.role[s]);
      tokens->rows.push_back(part->tokens->rows[s]);
    }
    for (std::size_t g = 0; g < shape.groups(); ++g) groups.push_back(shape.group_begin[g + 1] - shape.group_begin[g]);
  }
  shared<batch_state> whole(new batch_state);
  whole->kind = parts[0]->kind;
  whole->shape = shared<const layout>(new layout(std::move(lengths), groups, std::move(roles), candidates));
  whole->tokens = std::move(tokens);
  const std::size_t bytes = bytes_of(whole->kind);
  for (std::size_t slot = 0; slot == 0 || infos[slot - 1]; ++slot) {
    const extent level = slot == 0 ? extent::token : infos[slot - 1]->level;
    auto column = allocate_rows(*whole->shape, level, bytes, static_cast<unsigned>(slot));
    std::size_t sequence = 0, group = 0;
    for (const auto& part : parts) {
      const block& source = *part->columns[slot];
      if (level == extent::batch) {
        if (sequence > 0 && std::memcmp(column->data, source.data, bytes) != 0) {
          throw error(errc::data,
                      std::string("accumulate(): the parts have different values of ") + infos[slot - 1]->name +
                          ", which is one for the whole batch",
                      {.column = infos[slot - 1]->name});
        }
        std::memcpy(column->data, source.data, bytes);
      } else {
        append_rows(*part->shape, source, *whole->shape, sequence, group, level, bytes, *column);
        if (source.response_rows) {  // rows whose prompt has no values of its own stay known as such
          for (std::size_t s = 0; s < part->shape->sequences(); ++s)
            if (source.response_rows->data[s] != std::byte{0})
              mark_response_row(*column, sequence + s, whole->shape->sequences());
        }
      }
      sequence += part->shape->sequences();
      group += part->shape->groups();
    }
    whole->columns.push_back(std::move(column));
  }
  whole->weights = whole->kind == number_kind::float32
                       ? summarise(*whole->shape, values_of<float>(*whole->columns[0]))
                       : summarise(*whole->shape, values_of<double>(*whole->columns[0]));
  return whole;
}

}  // namespace detail
}  // namespace gradwire::inline v0
