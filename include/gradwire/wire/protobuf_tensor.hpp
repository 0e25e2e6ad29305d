// SPDX-License-Identifier: Apache-2.0
// Tensors as protobuf: {1 dense bytes | 2 sparse_csr {1 values, 2 crow_indices, 3 col_indices}, 3 dtype, 4 shape}.
#pragma once

#include <gradwire/wire/protobuf_reader.hpp>
#include <gradwire/wire/protobuf_writer.hpp>
#include <gradwire/wire/tensor_check.hpp>

namespace gradwire::inline v0 {
namespace wire {
namespace detail {

// What is written: bfloat16 storage does not exist here, so it goes out as float32, int32 as int64.
constexpr dtype written(dtype type) noexcept {
  return type == dtype::bfloat16 ? dtype::float32 : type == dtype::int32 ? dtype::int64 : type;
}

inline std::size_t values_size(const tensor& value) { return value.size() * width(written(value.dtype())); }

inline void append_values(protobuf_writer& out, unsigned tag, const tensor& value) {
  std::visit(
      [&](const auto& stored) {
        if (written(value.dtype()) == dtype::float32)
          out.array<float>(tag, stored.span());
        else
          out.array<std::int64_t>(tag, stored.span());
      },
      value.storage());
}

inline std::size_t packed_size(const shape_type& shape) {
  std::size_t size = 0;
  for (const std::int64_t extent : shape) size += varint_size(static_cast<std::uint64_t>(extent));
  return size;
}

inline std::size_t sparse_size(const tensor& value) {
  const auto& rows = *value.sparse();
  return field_size(values_size(value)) + field_size(rows.crow_indices.size() * 8) +
         field_size(rows.col_indices.size() * 8);
}

inline std::size_t tensor_size(const tensor& value) {
  const std::size_t content = value.sparse() != nullptr ? sparse_size(value) : values_size(value);
  return field_size(content) + scalar_size(static_cast<std::uint64_t>(written(value.dtype()))) +
         optional_size(packed_size(value.shape()));
}

inline void append_tensor(protobuf_writer& out, const tensor& value) {
  if (const auto* rows = value.sparse()) {
    out.head(2, sparse_size(value));
    append_values(out, 1, value);
    out.array<std::int64_t>(2, rows->crow_indices.span());
    out.array<std::int64_t>(3, rows->col_indices.span());
  } else {
    append_values(out, 1, value);
  }
  out.scalar(3, static_cast<std::uint64_t>(written(value.dtype())));
  if (!value.shape().empty()) out.packed(4, value.shape(), packed_size(value.shape()));
}

inline tensor make_tensor(tensor::storage_type values, shape_type shape) {
  return std::visit([&](auto& stored) { return tensor(std::move(stored), std::move(shape)); }, values);
}

inline tensor read_tensor(pbf_reader in, const char* what) {
  std::string_view dense;
  pbf_reader sparse;
  bool is_sparse = false;
  dtype type = dtype::unspecified;
  shape_type shape;
  while (in.next()) switch (in.tag_and_type()) {
      case text_field(1):
        dense = view(in);
        is_sparse = false;
        break;
      case text_field(2):
        sparse = in.get_message();
        is_sparse = true;
        break;
      case varint_field(3):
        type = read_dtype(in);
        break;
      case varint_field(4):
      case text_field(4):
        read_shape(in, shape);
        break;
      default:
        in.skip();
    }
  sparse_rows rows;
  if (is_sparse) {
    if (shape.empty()) malformed(std::string(what) + ": a sparse tensor without a shape");
    while (sparse.next()) switch (sparse.tag_and_type()) {
        case text_field(1):
          dense = view(sparse);
          break;
        case text_field(2):
          rows.crow_indices = read_array<std::int64_t>(view(sparse), "crow_indices");
          break;
        case text_field(3):
          rows.col_indices = read_array<std::int64_t>(view(sparse), "col_indices");
          break;
        default:
          sparse.skip();
      }
  }
  tensor value = make_tensor(read_values(dense, type, what), std::move(shape));
  if (is_sparse) value.set_sparse(std::move(rows));
  if (const std::string why = form_fault(value); !why.empty()) malformed(std::string(what) + ": " + why);
  return value;
}

}  // namespace detail
}  // namespace wire
}  // namespace gradwire::inline v0
