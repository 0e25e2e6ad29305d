// SPDX-License-Identifier: Apache-2.0
// Tensors, metrics and loss settings as JSON.
#pragma once

#include <gradwire/wire/json_object.hpp>
#include <gradwire/wire/tensor_check.hpp>

namespace gradwire::inline v0 {
namespace wire {

inline void write(json_writer& out, const tensor& value) {
  const bool real = value.dtype() == dtype::float32 || value.dtype() == dtype::bfloat16;
  out.begin_object();
  out.key("data");
  std::visit(
      [&](const auto& stored) {
        if (real)
          out.numbers<float>(stored.span());
        else
          out.numbers<std::int64_t>(stored.span());
      },
      value.storage());
  out.key("dtype").string(to_string(value.dtype()));
  out.key("shape").numbers<std::int64_t>(std::span<const std::int64_t>(value.shape()));
  if (const auto* rows = value.sparse()) {
    out.key("sparse_crow_indices").numbers<std::int64_t>(rows->crow_indices.span());
    out.key("sparse_col_indices").numbers<std::int64_t>(rows->col_indices.span());
  }
  out.end_object();
}

// `fallback` is the dtype when the text names none.
inline void read_tensor(const json_reader& in, tensor& value, dtype fallback) {
  if (in.kind() != json_kind::object) return in.issue("dict_type", "Input should be a tensor object");
  dtype type = fallback;
  in.member("dtype", [&](const json_reader& member) {
    for (const dtype known : {dtype::float32, dtype::int64, dtype::int32, dtype::bfloat16})
      if (member.text() == to_string(known)) return void(type = known);
    member.issue("literal_error", "Input should be 'int64' or 'float32'");
  });
  shape_type shape;
  in.member("shape", [&](const json_reader& member) { shape = member.numbers<std::int64_t>(); });
  std::optional<sparse_rows> rows;
  if (in.has("sparse_crow_indices") || in.has("sparse_col_indices")) {
    rows.emplace();
    in.member("sparse_crow_indices", [&](const json_reader& m) { rows->crow_indices = m.numbers<std::int64_t>(); });
    in.member("sparse_col_indices", [&](const json_reader& m) { rows->col_indices = m.numbers<std::int64_t>(); });
  }
  const bool found = in.member("data", [&](const json_reader& member) {
    if (type == dtype::float32 || type == dtype::bfloat16)
      value = tensor(array<float>(member.numbers<float>()), std::move(shape), dtype::float32);
    else
      value = tensor(array<std::int64_t>(member.numbers<std::int64_t>()), std::move(shape));
  });
  if (!found) return in.missing("data");
  if (rows) value.set_sparse(std::move(*rows));
  if (const std::string why = detail::form_fault(value); !why.empty()) in.issue("value_error", why);
}

inline void read(const json_reader& in, tensor& value) { read_tensor(in, value, dtype::float32); }

inline void write(json_writer& out, const named_tensors& tensors) {
  out.begin_object();
  for (const auto& item : tensors) write(out.key(item.name), item.value);
  out.end_object();
}

inline void read(const json_reader& in, named_tensors& tensors) {
  if (in.kind() != json_kind::object) return in.issue("dict_type", "Input should be an object of tensors");
  tensors.clear();
  in.each([&](const json_reader& item) {
    auto& added = tensors.emplace_back(named_tensor{.name = std::string(item.key())});
    read_tensor(item, added.value, added.name == "target_tokens" ? dtype::int64 : dtype::float32);
  });
}

inline void write(json_writer& out, const metrics& values) {
  out.begin_object();
  for (const auto& item : values) write(out.key(item.name), item.value);
  out.end_object();
}

// Members that are no numbers are passed over; null is NaN.
inline void read(const json_reader& in, metrics& values) {
  values.clear();
  if (in.is_null()) return;
  if (in.kind() != json_kind::object) return in.issue("dict_type", "Input should be an object");
  in.each([&](const json_reader& item) {
    if (item.kind() == json_kind::number || item.is_null())
      read(item, values.emplace_back(metric{.name = std::string(item.key())}).value);
  });
}

inline void write(json_writer& out, const loss_fn_config& settings) {
  out.begin_object();
  for (const auto& item : settings)
    std::visit([&](const auto& value) { write(out.key(item.name), value); }, item.value);
  out.end_object();
}

inline void read(const json_reader& in, loss_fn_config& settings) {
  if (in.kind() != json_kind::object) return in.issue("dict_type", "Input should be a valid dictionary");
  settings.clear();
  in.each([&](const json_reader& item) {
    auto& added = settings.emplace_back(config_value{.name = std::string(item.key())});
    if (item.kind() == json_kind::string)
      read(item, added.value.emplace<std::string>());
    else if (item.kind() == json_kind::boolean)
      read(item, added.value.emplace<bool>());
    else
      read(item, added.value.emplace<double>());
  });
}

}  // namespace wire
}  // namespace gradwire::inline v0
