// SPDX-License-Identifier: Apache-2.0
// One more column for a batch, checked against its layout; the others are shared. Templates on the value type only.
#pragma once

#include <gradwire/datum/batch_state.hpp>

namespace gradwire::inline v0 {
namespace detail {

// Where the new column comes from: exactly one is set.
struct column_origin {
  const numbers* flat = nullptr;          // all sequences in a row
  const single_number* single = nullptr;  // for every sequence, group or the batch
  const number_rows* rows = nullptr;      // one row a sequence
  const void* mask = nullptr;             // for weights
  double (*weigh)(const void* mask, const token_context&) = nullptr;
};

[[noreturn, gnu::cold, gnu::noinline]] inline void wrong_count(const char* column, std::size_t given, const char* what,
                                                               std::size_t wanted, const char* of) {
  refuse({.column = column}, given, "%zu%s, but the batch has %zu%s", given, what, wanted, of);
}

template <class T>
const T* weights_of(const batch_state& state) noexcept {
  return values_of<T>(*state.columns[0]);
}

// Does any weight that is not 0 depend on value i of a per-sequence, per-group or per-batch column?
[[gnu::noinline]] inline bool is_counted(const batch_state& state, extent level, std::size_t i) noexcept {
  if (level == extent::batch) return state.weights->total_count != 0;
  if (level == extent::sequence) return state.weights->count[i] != 0;
  for (std::size_t s = state.shape->group_begin[i]; s < state.shape->group_begin[i + 1]; ++s) {
    if (state.weights->count[s] != 0) return true;
  }
  return false;
}

// Where value i of such a column is: a sequence by its own index, a group by its first sequence.
inline place place_of(const layout& shape, const field_info& field, std::size_t i) noexcept {
  place at{.column = field.name};
  if (field.level == extent::sequence) at.datum = static_cast<std::int64_t>(i);
  if (field.level == extent::group) at.datum = static_cast<std::int64_t>(shape.group_begin[i]);
  return at;
}

// All values of a finished column against the weights.
template <class T>
[[gnu::noinline]] void check_column(const batch_state& state, const block& column, const field_info& field) {
  const layout& shape = *state.shape;
  const T* values = values_of<T>(column);
  if (field.level > extent::token) {
    for (std::size_t i = 0; i < stored_values(shape, field.level); ++i) {
      if (is_finite(values[i]) || !is_counted(state, field.level, i)) continue;
      single_not_finite(place_of(shape, field, i), static_cast<double>(values[i]));
    }
    return;
  }
  const std::size_t width = field.level == extent::candidate ? shape.candidates() : 1;
  for (std::size_t s = 0; s < shape.sequences(); ++s) {
    const place at{.datum = static_cast<std::int64_t>(s), .column = field.name};
    const T* weights = weights_of<T>(state) + shape.offset[s];
    if (column.response_rows && column.response_rows->data[s] != std::byte{0}) {
      check_covered(*state.tokens->rows[s], weights, at);
    }
    for (std::size_t k = 0; k < width; ++k) {
      const T* row = values + k * shape.padded() + shape.offset[s];
      const std::size_t bad = first_not_finite(row, weights, shape.length[s], 1);
      if (bad != not_found) not_finite(at, bad * width + k, width, static_cast<double>(row[bad]));
    }
  }
}

// The rows of a per-token or per-candidate column, one a sequence, each with its targets' or its response's length.
[[gnu::cold, gnu::noinline]] inline number_rows split_rows(const batch_state& state, const field_info& field,
                                                           const numbers& flat, std::size_t width) {
  const layout& shape = *state.shape;
  std::size_t response = 0;
  for (const auto& core : state.tokens->rows) response += core->response_tokens;
  const bool by_response = flat.size != shape.tokens() * width;
  if (by_response && flat.size != response * width) {
    wrong_count(field.name, flat.size, " values", shape.tokens() * width,
                width > 1 ? " values of candidates" : " targets");
  }
  number_rows result;
  std::size_t first = 0;
  for (std::size_t s = 0; s < shape.sequences(); ++s) {
    numbers row = flat;
    row.data = static_cast<const std::byte*>(flat.data) + first * bytes_of(flat.kind);
    row.size = width * (by_response ? state.tokens->rows[s]->response_tokens : shape.length[s]);
    first += row.size;
    result.rows.push_back(row);
  }
  return result;
}

template <class T>
[[gnu::noinline]] void fill_tokens(const batch_state& state, const field_info& field, const number_rows& from,
                                   block& column) {
  T* out = reinterpret_cast<T*>(column.data);
  const layout& shape = *state.shape;
  const bool is_weights = std::string_view(field.name) == "weights";
  const std::size_t width = field.level == extent::candidate ? shape.candidates() : 1;
  if (from.rows.size() != shape.sequences()) {
    wrong_count(field.name, from.rows.size(), " rows", shape.sequences(), " sequences");
  }
  for (std::size_t s = 0; s < shape.sequences(); ++s) {
    const place at{.datum = static_cast<std::int64_t>(s), .column = field.name};
    const token_core& core = *state.tokens->rows[s];
    const T* weights = weights_of<T>(state) + shape.offset[s];
    const numbers& row = from.rows[s];
    if (row.size % width)
      refuse(at, row.size, "%zu values are no whole number of rows of %zu candidates", row.size, width);
    const bool response = is_response_length(core, at, row.size / width);
    if (response && !is_weights) check_covered(core, weights, at);
    fill_row(response ? placed(core, row, width) : row, 0, width, shape.length[s], out + shape.offset[s],
             shape.padded(), is_weights ? nullptr : weights, at);
    if (response) mark_response_row(column, s, shape.sequences());
  }
}

template <class T>
[[gnu::noinline]] void fill_coarse(const batch_state& state, const field_info& field, const numbers& from, T* out) {
  const layout& shape = *state.shape;
  const std::size_t wanted = stored_values(shape, field.level);
  if (!from.single && from.size != wanted) {
    wrong_count(field.name, from.size, " values", wanted,
                field.level == extent::sequence ? " sequences"
                : field.level == extent::group  ? " groups"
                                                : " value");
  }
  for (std::size_t i = 0; i < wanted; ++i) {
    out[i] = fill_single<T>(field, from, i, is_counted(state, field.level, i), place_of(shape, field, i));
  }
}

// New weights: their sums, and whether what they newly uncover is finite.
template <class T>
[[gnu::noinline]] void replace_weights(batch_state& state, shared<const block> weights,
                                       const field_info* const* infos) {
  const layout& shape = *state.shape;
  const T* values = values_of<T>(*weights);
  for (std::size_t s = 0; s < shape.sequences(); ++s) {
    for (std::size_t t = 0; t < shape.length[s]; ++t) {
      const T weight = values[shape.offset[s] + t];
      if (!is_finite(weight)) {
        bad_weight({.datum = static_cast<std::int64_t>(s), .token = static_cast<std::int64_t>(t)},
                   static_cast<double>(weight));
      }
    }
  }
  state.weights = summarise(shape, values);
  state.columns[0] = std::move(weights);
  for (std::size_t f = 0; infos[f]; ++f) check_column<T>(state, *state.columns[f + 1], *infos[f]);
}

inline shared<batch_state> copy_of(const batch_state& from) {
  shared<batch_state> state(new batch_state);
  state->shape = from.shape;
  state->tokens = from.tokens;
  state->weights = from.weights;
  state->columns = from.columns;
  state->kind = from.kind;
  return state;
}

template <class T>
shared<const batch_state> with_block(const batch_state& from, std::size_t slot, shared<const block> column,
                                     const field_info* const* infos) {
  auto state = copy_of(from);
  if (slot == 0) {
    replace_weights<T>(*state, std::move(column), infos);
  } else if (slot == state->columns.size()) {
    state->columns.push_back(std::move(column));
  } else {
    state->columns[slot] = std::move(column);
  }
  return state;
}

// slot: 0 weights, else 1 + the field's index; infos: the fields that the batch has already.
template <class T>
[[gnu::cold, gnu::noinline]] shared<const batch_state> with_values(const batch_state& from, std::size_t slot,
                                                                   const field_info& field, const column_origin& origin,
                                                                   const field_info* const* infos) {
  const layout& shape = *from.shape;
  auto column = allocate_rows(shape, field.level, sizeof(T), static_cast<unsigned>(slot));
  T* out = reinterpret_cast<T*>(column->data);
  if (origin.weigh) {
    for (std::size_t s = 0; s < shape.sequences(); ++s) {
      T* row = out + shape.offset[s];
      for (target_walk walk(*from.tokens->rows[s]); walk.next();) {
        row[walk.at.position] = static_cast<T>(origin.weigh(origin.mask, walk.at));
      }
    }
  } else if (field.level <= extent::token) {
    const std::size_t width = field.level == extent::candidate ? shape.candidates() : 1;
    if (width == 0) refuse({.column = field.name}, {}, "values for candidates, but the batch has none");
    fill_tokens<T>(from, field, origin.rows ? *origin.rows : split_rows(from, field, *origin.flat, width), *column);
  } else if (origin.single) {
    fill_coarse(from, field, {.size = 1, .kind = origin.single->kind, .single = true, .value = origin.single->value},
                out);
  } else {
    fill_coarse(from, field, *origin.flat, out);
  }
  return with_block<T>(from, slot, std::move(column), infos);
}

// Is a column laid out for this batch?
[[gnu::cold, gnu::noinline]] inline void check_layout(const batch_state& state, const layout* other, extent level,
                                                      const field_info& field) {
  const layout& shape = *state.shape;
  if (!other) refuse({.column = field.name}, {}, "an empty column");
  if (level != field.level) {
    refuse({.column = field.name}, {}, "the field is %s, but the column %s", to_string(field.level), to_string(level));
  }
  if (other == &shape) return;
  if (other->sequences() != shape.sequences()) {
    wrong_count(field.name, other->sequences(), " sequences in the column", shape.sequences(), "");
  }
  if (level == extent::group && other->groups() != shape.groups()) {
    wrong_count(field.name, other->groups(), " groups in the column", shape.groups(), "");
  }
  if (level == extent::candidate && other->candidates() != shape.candidates()) {
    wrong_count(field.name, other->candidates(), " candidates in the column", shape.candidates(), "");
  }
  for (std::size_t s = 0; s < shape.sequences(); ++s) {
    if (other->length[s] != shape.length[s]) {
      refuse({.datum = static_cast<std::int64_t>(s), .column = field.name}, other->length[s],
             "the column has %zu targets, but the batch %zu", other->length[s], shape.length[s]);
    }
  }
}

// A column made elsewhere (a forward pass, a kernel, another batch): shared, unless its values are of another type or
// it would lie at the same place modulo 4096 as a column that is there already.
template <class T, class U>
[[gnu::cold, gnu::noinline]] shared<const batch_state> with_column(const batch_state& from, std::size_t slot,
                                                                   const field_info& field, const column<U>& given,
                                                                   const field_info* const* infos) {
  check_layout(from, given.layout_handle().get(), given.level(), field);
  shared<const block> storage = given.storage();
  bool share = std::is_same_v<T, U>;
  for (std::size_t i = 0; i < from.columns.size(); ++i) {
    const auto apart =
        reinterpret_cast<std::uintptr_t>(from.columns[i]->data) - reinterpret_cast<std::uintptr_t>(storage->data);
    share = share && (i == slot || apart % 4096 != 0);
  }
  if (!share) {
    auto column = allocate_rows(*from.shape, field.level, sizeof(T), static_cast<unsigned>(slot));
    convert({.data = storage->data, .size = given.size(), .kind = kind_of<U>()}, 0, 1, given.size(),
            reinterpret_cast<T*>(column->data));
    column->response_rows = storage->response_rows;
    if (field.identity && field.level > extent::token) {
      const U* const given_values = reinterpret_cast<const U*>(storage->data);
      for (std::size_t i = 0; i < given.size(); ++i)
        check_identity(field, static_cast<double>(given_values[i]), values_of<T>(*column)[i],
                       place_of(*from.shape, field, i));
    }
    storage = std::move(column);
  }
  if (slot != 0) check_column<T>(from, *storage, field);
  return with_block<T>(from, slot, std::move(storage), infos);
}

}  // namespace detail
}  // namespace gradwire::inline v0
