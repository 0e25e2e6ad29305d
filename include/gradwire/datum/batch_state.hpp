// SPDX-License-Identifier: Apache-2.0
// What a batch shares between its handles: layout, tokens and columns. The columns lie in slots: 0 the weights, then
// the fields in order. Templates on the value type only, so that batches of different fields share this code.
#pragma once

#include <cstddef>
#include <utility>

#include <gradwire/datum/column.hpp>
#include <gradwire/datum/make_datum.hpp>

namespace gradwire::inline v0 {
namespace detail {

// Sums over the weights of each sequence and of the batch, in double; what denominators are made of.
struct weight_summary : counted_object<weight_summary> {
  dynamic_array<double> sum;    // Σ w of sequence s
  dynamic_array<double> count;  // number of w ≠ 0 of sequence s
  double total = 0;
  double total_count = 0;
  std::size_t counted_sequences = 0;  // with any w ≠ 0
};

struct token_table : counted_object<token_table> {
  dynamic_array<shared<const token_core>> rows;
};

struct batch_state : counted_object<batch_state> {
  shared<const layout> shape;
  shared<const token_table> tokens;
  shared<const weight_summary> weights;
  dynamic_array<shared<const block>> columns;
  number_kind kind = number_kind::float32;  // of every column
};

template <class T>
const T* values_of(const block& from) noexcept {
  return reinterpret_cast<const T*>(from.data);
}

template <class T>
[[gnu::noinline]] shared<const weight_summary> summarise(const layout& shape, const T* weights) {
  shared<weight_summary> result(new weight_summary);
  result->sum.resize(shape.sequences());
  result->count.resize(shape.sequences());
  for (std::size_t s = 0; s < shape.sequences(); ++s) {
    double sum = 0, count = 0;
    const T* row = weights + shape.offset[s];
    for (std::size_t t = 0; t < shape.length[s]; ++t) {
      sum += static_cast<double>(row[t]);
      count += row[t] != 0;
    }
    result->sum[s] = sum;
    result->count[s] = count;
    result->total += sum;
    result->total_count += count;
    result->counted_sequences += count != 0;
  }
  return result;
}

[[noreturn, gnu::cold, gnu::noinline]] inline void does_not_fit(place at, double given, bool whole) {
  refuse(at, given, "%.*g %s a float; make the batch with batch_of<double>(…)", whole ? 15 : 9, given,
         whole ? "is not exact as" : "does not fit into");
}

// The value that was asked for and the one that T made of it.
template <class T>
bool fits(const numbers& from, double given, T value) noexcept {
  if (!is_integer(from.kind)) return is_finite(value) || !is_finite(given);
  return given <= largest_exact_integer<T> && given >= -largest_exact_integer<T>;
}

// One row of a column: `width` planes of `length` values from width * length numbers that begin at `first`.
template <class T>
[[gnu::noinline]] void fill_row(const numbers& from, std::size_t first, std::size_t width, std::size_t length, T* out,
                                std::size_t plane, const T* weights, const place& at) {
  for (std::size_t k = 0; k < width; ++k) {
    T* row = out + k * plane;
    convert(from, first + k, width, length, row);
    const std::size_t bad = weights ? first_not_finite(row, weights, length, 1) : not_found;
    if (bad != not_found) {
      const double given = value_at(from, first + k + bad * width);
      if (!fits(from, given, row[bad]))
        does_not_fit({at.datum, static_cast<std::int64_t>(bad), at.column}, given, false);
      not_finite(at, bad * width + k, width, given);
    }
    if (is_integer(from.kind)) {
      for (std::size_t t = 0; t < length; ++t) {
        const double given = value_at(from, first + k + t * width);
        if (!fits(from, given, row[t])) does_not_fit({at.datum, static_cast<std::int64_t>(t), at.column}, given, true);
      }
    }
  }
}

// A whole number that names something: 16777216 and 16777217 are one float, and what they name would be one part.
template <class T>
void check_identity(const field_info& field, double given, T value, const place& at) {
  if (field.identity && is_finite(given) && static_cast<double>(value) != given &&
      (given >= largest_exact_integer<T> || given <= -largest_exact_integer<T>))
    does_not_fit(at, given, true);
}

// One value of a coarser column. `counts`: a weight that is not 0 depends on it.
template <class T>
[[gnu::noinline]] T fill_single(const field_info& field, const numbers& from, std::size_t index, bool counts,
                                const place& at) {
  const double given = value_at(from, index);
  const T value = static_cast<T>(given);
  if (!fits(from, given, value)) does_not_fit(at, given, is_integer(from.kind));
  check_identity(field, given, value, at);
  if (counts && !is_finite(value)) single_not_finite(at, given);
  return value;
}

// Row s of the column has values at the response's targets only.
[[gnu::cold, gnu::noinline]] inline void mark_response_row(block& column, std::size_t s, std::size_t sequences) {
  if (!column.response_rows) {
    auto rows = allocate_compact(sequences);
    __builtin_memset(rows->data, 0, sequences);
    column.response_rows = std::move(rows);
  }
  column.response_rows->data[s] = std::byte{1};
}

// Every column of every datum, each column in one allocation.
template <class T>
[[gnu::cold, gnu::noinline]] shared<const batch_state> make_batch(const datum_cores& parts,
                                                                  const field_info* const* infos) {
  const auto& datums = parts.datums;
  if (datums.empty()) refuse({}, "0", "an empty batch; it takes at least one datum");
  dynamic_array<std::size_t> lengths;
  lengths.reserve(datums.size());
  shared<token_table> tokens(new token_table);
  tokens->rows.reserve(datums.size());
  const std::size_t width = datums[0]->tokens->candidates;
  for (std::size_t s = 0; s < datums.size(); ++s) {
    const token_core& row = *datums[s]->tokens;
    if (row.candidates != width) {
      refuse({.datum = static_cast<std::int64_t>(s), .column = "candidates"}, row.candidates,
             "%zu candidates a target, but datum 0 has %zu; a batch has one number", row.candidates, width);
    }
    lengths.push_back(row.length);
    tokens->rows.push_back(datums[s]->tokens);
  }
  for (std::size_t g = 0; g < parts.group_sizes.size(); ++g) {
    if (parts.group_sizes[g] == 0) refuse({}, "0", "group %zu is empty; a group has at least one datum", g);
  }
  shared<batch_state> state(new batch_state);
  state->kind = kind_of<T>();
  state->shape = shared<const layout>(new layout(std::move(lengths), parts.group_sizes, parts.roles, width));
  const layout& shape = *state->shape;

  auto memory = allocate_rows(shape, extent::token, sizeof(T), 0);
  T* weights = reinterpret_cast<T*>(memory->data);
  for (std::size_t s = 0; s < datums.size(); ++s) {
    const double* given = datums[s]->weights.data();
    T* row = weights + shape.offset[s];
    for (std::size_t t = 0; t < shape.length[s]; ++t) {
      row[t] = static_cast<T>(given[t]);
      const place at{.datum = static_cast<std::int64_t>(s), .token = static_cast<std::int64_t>(t), .column = "weights"};
      if (!is_finite(row[t])) does_not_fit(at, given[t], false);
    }
  }
  state->columns.push_back(std::move(memory));
  state->weights = summarise(shape, weights);

  for (std::size_t f = 0; infos[f]; ++f) {
    const field_info& field = *infos[f];
    auto column = allocate_rows(shape, field.level, sizeof(T), static_cast<unsigned>(f + 1));
    T* out = reinterpret_cast<T*>(column->data);
    for (std::size_t s = 0; s < datums.size(); ++s) {
      const place at{.datum = static_cast<std::int64_t>(s), .column = field.name};
      const numbers& from = datums[s]->columns[f];
      if (from.response_only) mark_response_row(*column, s, shape.sequences());
      if (field.level == extent::sequence) {
        out[s] = fill_single<T>(field, from, 0, state->weights->count[s] != 0, at);
      } else {
        fill_row(from, 0, field.level == extent::candidate ? width : 1, shape.length[s], out + shape.offset[s],
                 shape.padded(), weights + shape.offset[s], at);
      }
    }
    state->columns.push_back(std::move(column));
  }
  state->tokens = std::move(tokens);
  return state;
}

// What loss_fn_inputs of datum s of a batch shows.
[[gnu::cold, gnu::noinline]] inline tensor_view read_input(const batch_state& state, std::size_t s,
                                                           const field_info* const* infos, std::size_t slot) {
  const layout& shape = *state.shape;
  if (slot == 0) return target_tensor(*state.tokens->rows[s]);
  const extent level = slot == 1 ? extent::token : infos[slot - 2]->level;
  const std::byte* base = state.columns[slot - 1]->data;
  const std::size_t bytes = bytes_of(state.kind), length = shape.length[s];
  if (level <= extent::token) {
    const std::byte* row = base + shape.offset[s] * bytes;
    if (level == extent::token) return {{}, {row, length, state.kind}, "float32", {length}};
    const std::size_t width = shape.candidates();
    return {{}, {row, length * width, state.kind, width, shape.padded()}, "float32", {length, width}};
  }
  std::size_t index = level == extent::sequence ? s : 0;
  if (level == extent::group) {
    while (shape.group_begin[index + 1] <= s) ++index;
  }
  return {{}, {base + index * bytes, 1, state.kind}, "float32", {1}};
}

}  // namespace detail
}  // namespace gradwire::inline v0
