// SPDX-License-Identifier: Apache-2.0
// Tokens and columns become a datum: placed and checked, whatever the datum's fields are called.
#pragma once

#include <gradwire/datum/field.hpp>
#include <gradwire/datum/inputs.hpp>
#include <gradwire/datum/make_tokens.hpp>

namespace gradwire::inline v0 {
namespace detail {

struct datum_core : counted_object<datum_core> {
  shared<const token_core> tokens;
  dynamic_array<double> weights;   // one a target
  dynamic_array<numbers> columns;  // in the order of the datum's fields; per token: one value a target
};

enum class column_use : unsigned char { values, weights, targets, candidates };

// `field = value` without its types; refers to it.
struct column_input {
  const field_info* field = nullptr;
  std::size_t slot = 0;  // which of the datum's fields
  column_use use = column_use::values;
  const numbers* values = nullptr;
  const number_rows* rows = nullptr;  // one row a token, become `own`
  const void* mask = nullptr;         // weights given as a mask
  numbers own{};
  // Rarely needed, so compiled only where the types ask for it:
  numbers (*flatten)(const number_rows&, const char* column) = nullptr;
  void (*add_ids)(const numbers&, token_core&) = nullptr;
  double (*weigh)(const void* mask, const token_context&) = nullptr;
};

// Datums of one type without the type.
struct datum_cores {
  dynamic_array<shared<const datum_core>> datums;
  dynamic_array<unsigned char> roles;  // one a datum
  dynamic_array<std::size_t> group_sizes;

  [[gnu::noinline]] void add(const datum_core& core, unsigned char role) {
    datums.push_back(shared<const datum_core>(&core));
    roles.push_back(role);
  }
  [[gnu::noinline]] void add_group(const datum_cores& group) {
    for (std::size_t i = 0; i < group.datums.size(); ++i) add(*group.datums[i], group.roles[i]);
    group_sizes.push_back(group.datums.size());
  }
};

// One range a token → one flat range.
[[gnu::cold, gnu::noinline]] inline numbers flattened(const number_rows& from, const char* column) {
  if (from.rows.empty()) refuse({.column = column}, {}, "no rows");
  const numbers& first = from.rows[0];
  const std::size_t bytes = first.size * bytes_of(first.kind);
  auto memory = allocate_compact(bytes * from.rows.size());
  for (std::size_t t = 0; t < from.rows.size(); ++t) {
    const numbers& row = from.rows[t];
    if (row.size != first.size || row.kind != first.kind) {
      refuse({.token = static_cast<std::int64_t>(t), .column = column}, row.size,
             "%zu candidates, but the first row has %zu; every row has as many, of one type", row.size, first.size);
    }
    if (bytes) __builtin_memcpy(memory->data + t * bytes, row.data, bytes);
  }
  return {.data = memory->data,
          .size = first.size * from.rows.size(),
          .kind = first.kind,
          .width = first.size,
          .owner = std::move(memory)};
}

// An image is read and never predicted. A mask may select it in passing; a value given for it is a mistake.
[[gnu::cold, gnu::noinline]] inline void mask_images(const token_core& core, bool given, double* weights) {
  for (const auto& image : core.images) {
    for (std::size_t t = image.begin ? image.begin - 1 : 0; t + 1 < image.begin + image.size; ++t) {
      if (given && weights[t] != 0)
        refuse({.token = static_cast<std::int64_t>(t), .column = "weights"}, weights[t],
               "the weight is %.9g at a position of an image, which is never predicted; give 0", printable(weights[t]));
      weights[t] = 0;
    }
  }
}

[[gnu::cold, gnu::noinline]] inline dynamic_array<double> make_weights(const token_core& core,
                                                                       const column_input* given) {
  dynamic_array<double> result(core.length);
  double* weights = result.data();
  if (!given) {
    for (const auto& segment : core.segments) {
      if (segment.role != part_role::response || segment.size == 0) continue;
      for (std::size_t t = segment.begin ? segment.begin - 1 : 0; t + 1 < segment.begin + segment.size; ++t)
        weights[t] = 1;
    }
  } else if (given->weigh) {
    for (target_walk walk(core); walk.next();) weights[walk.at.position] = given->weigh(given->mask, walk.at);
  } else {
    const bool response = is_response_length(core, {.column = "weights"}, given->values->size);
    convert(response ? placed(core, *given->values, 1) : *given->values, 0, 1, core.length, weights);
  }
  if (!core.images.empty()) mask_images(core, given && !given->weigh, weights);
  return result;
}

[[noreturn, gnu::cold, gnu::noinline]] inline void bad_weight(place at, double weight) {
  at.column = "weights";
  refuse(at, weight, "the weight is %.9g; weights are finite numbers", printable(weight));
}

[[noreturn, gnu::cold, gnu::noinline]] inline void not_finite(place at, std::size_t index, std::size_t width,
                                                              double value) {
  at.token = static_cast<std::int64_t>(index / width);
  const char* why = "where the weight is not 0; only a masked token may lack a finite value";
  if (width > 1) refuse(at, value, "the value is %.9g at candidate %zu %s", printable(value), index % width, why);
  refuse(at, value, "the value is %.9g %s", printable(value), why);
}

[[noreturn, gnu::cold, gnu::noinline]] inline void single_not_finite(const place& at, double value) {
  refuse(at, value, "the value is %.9g; only where every token is masked may it be missing", printable(value));
}

[[gnu::noinline]] inline void check_finite(const datum_core& core, const numbers& column, std::size_t width,
                                           const char* name) {
  auto check = [&](const auto* values) {
    const std::size_t bad = first_not_finite(values, core.weights.data(), core.tokens->length, width);
    if (bad != not_found) not_finite({.column = name}, bad, width, static_cast<double>(values[bad]));
  };
  if (column.kind == number_kind::float32) check(static_cast<const float*>(column.data));
  if (column.kind == number_kind::float64) check(static_cast<const double*>(column.data));
}

[[gnu::cold, gnu::noinline]] inline numbers single_value(const datum_core& core, const place& at,
                                                         const numbers& given) {
  if (given.size != 1) {
    refuse(at, given.size,
           "%zu values for a field that is per sequence; a datum takes one (a value a token needs a field that is per "
           "token, "
           "such as token_advantage)",
           given.size);
  }
  numbers result{.size = 1, .kind = given.kind, .single = true, .value = value_at(given, 0)};
  bool counts = false;
  for (double weight : core.weights) counts = counts || weight != 0;
  if (counts && !is_finite(result.value)) single_not_finite(at, result.value);
  return result;
}

[[gnu::cold, gnu::noinline]] inline numbers token_values(const datum_core& core, const field_info& field,
                                                         const numbers& given) {
  const place at{.column = field.name};
  const token_core& tokens = *core.tokens;
  std::size_t width = 1;
  if (field.level == extent::candidate) {
    width = tokens.candidates;
    if (width == 0) refuse(at, {}, "values for candidates, but the datum names none: candidates = ids, K a target");
    if (given.size % width || (given.width && given.width != width)) {
      refuse(at, given.size, "%zu values are no whole number of rows of the datum's %zu candidates", given.size, width);
    }
  }
  const bool response = is_response_length(tokens, at, given.size / width);
  if (response) check_covered(tokens, core.weights.data(), at);
  numbers result = response ? placed(tokens, given, width) : given;
  check_finite(core, result, width, field.name);
  return result;
}

// Columns may come in any order; what others depend on is done first: targets, candidates, weights.
[[gnu::cold, gnu::noinline]] inline shared<const datum_core> make_datum(shared<token_core> tokens,
                                                                        std::span<column_input> inputs,
                                                                        std::size_t fields) {
  const column_input* weights = nullptr;
  const column_input* candidates = nullptr;
  for (column_input& input : inputs) {
    if (input.flatten) input.own = input.flatten(*input.rows, input.field->name);
    if (!input.values) input.values = &input.own;
    if (input.use == column_use::targets) input.add_ids(*input.values, *tokens);
    if (input.use == column_use::candidates) candidates = &input;
    if (input.use == column_use::weights) weights = &input;
  }
  if (candidates) candidates->add_ids(*candidates->values, *tokens);
  shared<datum_core> core(new datum_core);
  core->weights = make_weights(*tokens, weights);
  for (std::size_t t = 0; t < tokens->length; ++t) {
    if (!is_finite(core->weights[t])) bad_weight({.token = static_cast<std::int64_t>(t)}, core->weights[t]);
  }
  core->tokens = std::move(tokens);
  core->columns.resize(fields);
  for (const column_input& input : inputs) {
    if (input.use != column_use::values) continue;
    core->columns[input.slot] = input.field->level == extent::sequence
                                    ? single_value(*core, {.column = input.field->name}, *input.values)
                                    : token_values(*core, *input.field, *input.values);
  }
  return core;
}

// The same datum with its columns in another order.
[[gnu::cold, gnu::noinline]] inline shared<const datum_core> with_columns(const datum_core& from,
                                                                          std::span<const std::size_t> slots) {
  shared<datum_core> core(new datum_core);
  core->tokens = from.tokens;
  core->weights = from.weights;
  for (std::size_t slot : slots) core->columns.push_back(from.columns[slot]);
  return core;
}

// The same datum with other provenance.
[[gnu::cold, gnu::noinline]] inline shared<const datum_core> with_spans(const datum_core& from,
                                                                        std::span<const provenance_span> model_input,
                                                                        std::span<const provenance_span> loss_inputs) {
  shared<token_core> tokens(new token_core);
  static_cast<token_data&>(*tokens) = *from.tokens;
  tokens->input_spans = checked_runs(model_input, from.tokens->length, "model_input_spans");
  tokens->target_spans = checked_runs(loss_inputs, from.tokens->length, "loss_fn_input_spans");
  shared<datum_core> core(new datum_core);
  core->tokens = std::move(tokens);
  core->weights = from.weights;
  core->columns = from.columns;
  return core;
}

// Token ids as loss_fn_inputs shows them.
inline tensor_view target_tensor(const token_core& tokens) {
  if (tokens.candidates == 0) {
    return {{}, {tokens.targets().data(), tokens.length, number_kind::int32}, "int64", {tokens.length}};
  }
  return {{},
          {tokens.candidate_ids.data(), tokens.candidate_ids.size(), number_kind::int32},
          "int64",
          {tokens.length, tokens.candidates}};
}

// What loss_fn_inputs of a single datum shows.
[[gnu::cold, gnu::noinline]] inline tensor_view read_input(const datum_core& core, std::size_t,
                                                           const field_info* const* infos, std::size_t slot) {
  const std::size_t length = core.tokens->length;
  if (slot == 0) return target_tensor(*core.tokens);
  if (slot == 1) return {{}, {core.weights.data(), length, number_kind::float64}, "float32", {length}};
  const numbers& column = core.columns[slot - 2];
  if (column.single) return {{}, {nullptr, 1, number_kind::float64, 1, 0, column.value}, "float32", {1}};
  const tensor_values values(column.data, column.size, column.kind);
  if (infos[slot - 2]->level == extent::token) return {{}, values, "float32", {length}};
  return {{}, values, "float32", {length, core.tokens->candidates}};
}

}  // namespace detail
}  // namespace gradwire::inline v0
