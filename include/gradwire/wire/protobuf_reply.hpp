// SPDX-License-Identifier: Apache-2.0
// ForwardBackwardOutput as protobuf: {1 loss_fn_output_type, 2 loss_fn_outputs (ArrayRecord {1 type_tag, 2 fields
// map<string, BatchedTensor>, 3 num_datums}), 3 metrics}. BatchedTensor {1 data, 2 offsets (bytes, int64, n + 1),
// 3 dtype, 4 trailing_shape}: the values of all datums of a record in one buffer, which is copied once; the tensors are
// slices of it.
#pragma once

#include <gradwire/wire/messages_training.hpp>
#include <gradwire/wire/protobuf_tensor.hpp>

namespace gradwire::inline v0 {
namespace wire {
namespace detail {

// Consecutive datums whose tensors have the same names, dtypes and trailing extents go into one record.
inline bool same_record(const named_tensors& a, const named_tensors& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].name != b[i].name || written(a[i].value.dtype()) != written(b[i].value.dtype())) return false;
    const auto &p = a[i].value.shape(), &q = b[i].value.shape();
    if (p.size() != q.size()) return false;
    for (std::size_t k = 1; k < p.size(); ++k)
      if (p[k] != q[k]) return false;
  }
  return true;
}

// One field of the datums [first, last): what the sizes and the bytes are computed from.
struct batched_field {
  const named_tensors* first;
  const named_tensors* last;
  std::size_t field;

  const tensor& of(const named_tensors* datum) const { return (*datum)[field].value; }
  std::size_t count() const { return static_cast<std::size_t>(last - first); }
  shape_type trailing() const {
    const auto& shape = of(first).shape();
    return shape.empty() ? shape_type{} : shape_type(shape.begin() + 1, shape.end());
  }
  std::size_t data_size() const {
    std::size_t size = 0;
    for (const auto* datum = first; datum != last; ++datum) size += values_size(of(datum));
    return size;
  }
  std::size_t size() const {
    return field_size(data_size()) + field_size((count() + 1) * 8) +
           scalar_size(static_cast<std::uint64_t>(written(of(first).dtype()))) + optional_size(packed_size(trailing()));
  }
  std::size_t entry_size() const { return field_size((*first)[field].name.size()) + field_size(size()); }

  void append(protobuf_writer& out) const {
    out.head(2, entry_size());
    out.bytes(1, (*first)[field].name);
    out.head(2, size());
    out.head(1, data_size());
    std::vector<std::int64_t> offsets{0};
    offsets.reserve(count() + 1);
    for (const auto* datum = first; datum != last; ++datum) {
      const tensor& value = of(datum);
      std::visit(
          [&](const auto& stored) {
            if (written(value.dtype()) == dtype::float32)
              out.raw<float>(stored.span());
            else
              out.raw<std::int64_t>(stored.span());
          },
          value.storage());
      offsets.push_back(offsets.back() + static_cast<std::int64_t>(values_size(value)));
    }
    out.array<std::int64_t>(2, std::span<const std::int64_t>(offsets));
    out.scalar(3, static_cast<std::uint64_t>(written(of(first).dtype())));
    const auto shape = trailing();
    if (!shape.empty()) out.packed(4, shape, packed_size(shape));
  }
};

inline void append_record(protobuf_writer& out, std::string_view type, const named_tensors* first,
                          const named_tensors* last) {
  const auto count = static_cast<std::uint64_t>(last - first);
  std::size_t size = optional_size(type.size()) + scalar_size(count);
  for (std::size_t i = 0; i < first->size(); ++i) size += field_size(batched_field{first, last, i}.entry_size());
  out.head(2, size);
  out.text(1, type);
  for (std::size_t i = 0; i < first->size(); ++i) batched_field{first, last, i}.append(out);
  out.scalar(3, count);
}

inline void append_metrics(protobuf_writer& out, unsigned tag, const metrics& values) {
  for (const auto& item : values) {
    out.head(tag, field_size(item.name.size()) + 9);
    out.bytes(1, item.name);
    out.real(2, item.value);
  }
}

// Slices one field of a record into the datums [base, base + n).
inline void read_batched(pbf_reader in, const std::string& name, std::vector<named_tensors>& outputs,
                         std::size_t base) {
  std::string_view data;
  array<std::int64_t> offsets;
  dtype type = dtype::unspecified;
  shape_type trailing;
  while (in.next()) switch (in.tag_and_type()) {
      case text_field(1):
        data = view(in);
        break;
      case text_field(2):
        offsets = read_array<std::int64_t>(view(in), "offsets");
        break;
      case varint_field(3):
        type = read_dtype(in);
        break;
      case varint_field(4):
      case text_field(4):
        read_shape(in, trailing);
        break;
      default:
        in.skip();
    }
  const std::size_t count = outputs.size() - base;
  if (offsets.size() != count + 1)
    malformed(name + ": " + std::to_string(offsets.size()) + " offsets for " + std::to_string(count) + " datums");
  const std::int64_t row = cells(trailing);
  if (row < 0) malformed(name + ": trailing_shape has a negative or too large extent");
  const auto values = read_values(data, type, name.c_str());
  const auto element = static_cast<std::int64_t>(width(type));
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t from = offsets[i], to = offsets[i + 1];
    if (from < 0 || to < from || to > static_cast<std::int64_t>(data.size()) || from % element != 0 ||
        to % element != 0)
      malformed(name + ": offset " + std::to_string(i) + " is out of order or outside the data");
    const std::int64_t elements = (to - from) / element;
    if (row == 0 ? elements != 0 : elements % row != 0)
      malformed(name + ": the values of datum " + std::to_string(i) + " do not fill their rows");
    shape_type shape{row == 0 ? 0 : elements / row};
    shape.insert(shape.end(), trailing.begin(), trailing.end());
    outputs[base + i].push_back({name, std::visit(
                                           [&](const auto& all) {
                                             return tensor(all.slice(static_cast<std::size_t>(from / element),
                                                                     static_cast<std::size_t>(elements)),
                                                           std::move(shape));
                                           },
                                           values)});
  }
}

inline void read_record(pbf_reader in, std::vector<named_tensors>& outputs) {
  std::vector<std::pair<std::string, pbf_reader>> fields;
  std::int64_t count = 0;
  while (in.next()) switch (in.tag_and_type()) {
      case text_field(2):
        read_entry(in.get_message(),
                   [&](std::string name, pbf_reader value) { fields.emplace_back(std::move(name), value); });
        break;
      case varint_field(3):
        count = in.get_int64();
        break;
      default:
        in.skip();
    }
  constexpr std::int64_t most = std::int64_t{1} << 22;  // a few bytes must not ask for all memory
  if (count < 0 || count > most) malformed("num_datums is " + std::to_string(count));
  const std::size_t base = outputs.size();
  outputs.resize(base + static_cast<std::size_t>(count));
  for (const auto& [name, value] : fields) read_batched(value, name, outputs, base);
}

inline void read(pbf_reader in, forward_backward_reply& reply) {
  while (in.next()) switch (in.tag_and_type()) {
      case text_field(1):
        reply.loss_fn_output_type = text(in);
        break;
      case text_field(2):
        read_record(in.get_message(), reply.loss_fn_outputs);
        if (reply.loss_fn_outputs.size() > (std::size_t{1} << 22)) malformed("too many datums");
        break;
      case text_field(3): {
        auto& item = reply.metrics.emplace_back();
        read_entry(in.get_message(), item.name, item.value);
        break;
      }
      default:
        in.skip();
    }
}

}  // namespace detail

inline std::string to_protobuf(const forward_backward_reply& reply) {
  std::size_t payload = 256 + reply.metrics.size() * 64;
  for (const auto& datum : reply.loss_fn_outputs)
    for (const auto& item : datum) payload += detail::values_size(item.value) + 8;
  std::string body;
  body.reserve(payload);
  protobuf_writer out(body);
  out.text(1, reply.loss_fn_output_type);
  const named_tensors* const end = reply.loss_fn_outputs.data() + reply.loss_fn_outputs.size();
  for (const named_tensors* first = reply.loss_fn_outputs.data(); first != end;) {
    const named_tensors* last = first + 1;
    while (last != end && detail::same_record(*first, *last)) ++last;
    detail::append_record(out, reply.loss_fn_output_type, first, last);
    first = last;
  }
  detail::append_metrics(out, 3, reply.metrics);
  return body;
}

}  // namespace wire
}  // namespace gradwire::inline v0
