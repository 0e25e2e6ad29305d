// SPDX-License-Identifier: Apache-2.0
// ForwardBackwardRequest as protobuf: {1 model_id, 2 seq_id, 3 data, 4 loss_fn, 5 loss_fn_config, 6 forward_only,
// 7 loss_fn_config_v2}. Every other request is JSON.
#pragma once

#include <limits>

#include <gradwire/wire/messages_training.hpp>
#include <gradwire/wire/protobuf_tensor.hpp>

namespace gradwire::inline v0 {
namespace wire {

struct protobuf_options {
  bool loss_fn_config_v2 = false;  // numbers also in field 7, as newer clients do; text is only ever there
};

namespace detail {

inline std::size_t image_size(const image& value) {
  const auto expected = static_cast<std::uint64_t>(value.expected_tokens.value_or(0));
  return optional_size(value.data.size()) + optional_size(value.format.size()) +
         (value.expected_tokens ? varint_field_size(expected) : 0);
}

inline std::size_t chunk_content_size(const chunk& value) {
  if (const auto* text = std::get_if<encoded_text>(&value)) return optional_size(text->tokens.size() * 4);
  if (const auto* picture = std::get_if<image>(&value)) return image_size(*picture);
  if (const auto* audio = std::get_if<dmel>(&value)) return optional_size(audio->data.size());
  throw error(errc::data, "an image_asset_pointer cannot be written as protobuf; give the image's bytes, or use JSON");
}

inline void append_chunk(protobuf_writer& out, const chunk& value) {
  const std::size_t size = chunk_content_size(value);
  if (const auto* text = std::get_if<encoded_text>(&value)) {
    out.head(1, size);
    if (!text->tokens.empty()) out.array<std::int32_t>(1, text->tokens.span());
  } else if (const auto* picture = std::get_if<image>(&value)) {
    out.head(2, size);
    out.text(1, picture->data);
    out.text(2, picture->format);
    if (picture->expected_tokens) out.varint(3, static_cast<std::uint64_t>(*picture->expected_tokens));
  } else {
    out.head(3, size);
    out.text(1, std::get<dmel>(value).data);
  }
}

inline std::size_t span_content_size(const provenance_span& span) {
  return optional_size(span.sequence_id.size()) + scalar_size(static_cast<std::uint64_t>(span.offset)) +
         scalar_size(static_cast<std::uint64_t>(span.length));
}

inline std::size_t datum_size(const datum& value) {
  std::size_t size = 0;
  for (const auto& part : value.model_input) size += field_size(field_size(chunk_content_size(part)));
  for (const auto& item : value.loss_fn_inputs)
    size += field_size(field_size(item.name.size()) + field_size(tensor_size(item.value)));
  for (const auto* spans : {&value.model_input_spans, &value.loss_fn_input_spans})
    for (const auto& span : *spans) size += field_size(field_size(span_content_size(span)));
  return size;
}

inline void append_datum(protobuf_writer& out, const datum& value) {
  for (const auto& part : value.model_input) {
    out.head(1, field_size(chunk_content_size(part)));
    append_chunk(out, part);
  }
  for (const auto& item : value.loss_fn_inputs) {
    const std::size_t size = tensor_size(item.value);
    out.head(2, field_size(item.name.size()) + field_size(size));
    out.bytes(1, item.name);
    out.head(2, size);
    append_tensor(out, item.value);
  }
  unsigned tag = 3;
  for (const auto* spans : {&value.model_input_spans, &value.loss_fn_input_spans}) {
    for (const auto& span : *spans) {
      const std::size_t size = span_content_size(span);
      out.head(tag, field_size(size));
      out.head(span.sampled ? 2 : 1, size);
      out.text(1, span.sequence_id);
      out.scalar(2, static_cast<std::uint64_t>(span.offset));
      out.scalar(3, static_cast<std::uint64_t>(span.length));
    }
    ++tag;
  }
}

// Protobuf has no truth values here: they go as 1 and 0.
inline std::optional<double> number_of(const config_value& item) {
  if (const double* number = std::get_if<double>(&item.value)) return *number;
  if (const bool* truth = std::get_if<bool>(&item.value)) return *truth ? 1.0 : 0.0;
  return {};
}

inline void append_numbers(protobuf_writer& out, const loss_fn_config& settings) {
  for (const auto& item : settings)
    if (const auto number = number_of(item)) {
      out.head(5, field_size(item.name.size()) + 9);
      out.bytes(1, item.name);
      out.real(2, *number);
    }
}

inline void append_config_v2(protobuf_writer& out, const loss_fn_config& settings, bool with_numbers) {
  for (const auto& item : settings) {
    const auto number = number_of(item);
    if (number && !with_numbers) continue;
    const std::size_t size = number ? 9 : field_size(std::get<std::string>(item.value).size());
    out.head(7, field_size(item.name.size()) + field_size(size));
    out.bytes(1, item.name);
    out.head(2, size);
    if (number)
      out.real(1, *number);
    else
      out.bytes(2, std::get<std::string>(item.value));
  }
}

inline void read_image(pbf_reader in, image& value) {
  while (in.next()) switch (in.tag_and_type()) {
      case text_field(1):
        value.data = text(in);
        break;
      case text_field(2):
        value.format = text(in);
        break;
      case varint_field(3):
        value.expected_tokens = in.get_int32();
        break;
      default:
        in.skip();
    }
}

inline void read_chunk(pbf_reader in, chunk& value) {
  while (in.next()) switch (in.tag_and_type()) {
      case text_field(1): {
        auto& text = value.emplace<encoded_text>();
        for (pbf_reader inner = in.get_message(); inner.next();)
          if (inner.tag_and_type() == text_field(1))
            text.tokens = read_array<std::int32_t>(view(inner), "tokens");
          else
            inner.skip();
        break;
      }
      case text_field(2):
        read_image(in.get_message(), value.emplace<image>());
        break;
      case text_field(3):
        value.emplace<dmel>();
        for (pbf_reader inner = in.get_message(); inner.next();)
          if (inner.tag_and_type() == text_field(1))
            std::get<dmel>(value).data = text(inner);
          else
            inner.skip();
        break;
      default:
        in.skip();
    }
}

inline provenance_span read_span(pbf_reader in) {
  provenance_span span;
  while (in.next()) switch (in.tag_and_type()) {
      case text_field(1):
      case text_field(2):
        span.sampled = in.tag() == 2;
        for (pbf_reader inner = in.get_message(); inner.next();) switch (inner.tag_and_type()) {
            case text_field(1):
              span.sequence_id = text(inner);
              break;
            case varint_field(2):
              span.offset = inner.get_int64();
              break;
            case varint_field(3):
              span.length = inner.get_int64();
              break;
            default:
              inner.skip();
          }
        break;
      default:
        in.skip();
    }
  return span;
}

inline void read_datum(pbf_reader in, datum& value) {
  while (in.next()) switch (in.tag_and_type()) {
      case text_field(1):
        read_chunk(in.get_message(), value.model_input.emplace_back());
        break;
      case text_field(2):
        read_entry(in.get_message(), [&](std::string name, pbf_reader entry) {
          tensor read = read_tensor(entry, name.c_str());
          value.loss_fn_inputs.push_back({std::move(name), std::move(read)});
        });
        break;
      case text_field(3):
        value.model_input_spans.push_back(read_span(in.get_message()));
        break;
      case text_field(4):
        value.loss_fn_input_spans.push_back(read_span(in.get_message()));
        break;
      default:
        in.skip();
    }
}

inline void set_config(loss_fn_config& settings, config_value item) {
  for (auto& known : settings)
    if (known.name == item.name) return void(known = std::move(item));
  if (settings.size() >= 256) malformed("more than 256 entries in loss_fn_config");
  settings.push_back(std::move(item));
}

inline void read(pbf_reader in, forward_backward_request& request) {
  request.loss_fn.clear();
  while (in.next()) switch (in.tag_and_type()) {
      case text_field(1):
        request.model_id = text(in);
        break;
      case varint_field(2): {
        const std::int32_t number = in.get_int32();
        if (number < 0) malformed("seq_id " + std::to_string(number) + " is negative");
        if (number > 0) request.seq_id = number;
        break;
      }
      case text_field(3):
        read_datum(in.get_message(), request.data.emplace_back());
        break;
      case text_field(4):
        request.loss_fn = text(in);
        break;
      case text_field(5): {
        config_value item;
        read_entry(in.get_message(), item.name, item.value.emplace<double>());
        set_config(request.loss_fn_config, std::move(item));
        break;
      }
      case varint_field(6):
        request.forward_only = in.get_uint64() != 0;  // protozero's get_bool reads a byte past a message that ends here
        break;
      case text_field(7):
        read_entry(in.get_message(), [&](std::string name, pbf_reader value) {
          config_value item{.name = std::move(name)};
          while (value.next()) switch (value.tag_and_type()) {
              case double_field(1):
                item.value = value.get_double();
                break;
              case text_field(2):
                item.value = text(value);
                break;
              default:
                value.skip();
            }
          set_config(request.loss_fn_config, std::move(item));
        });
        break;
      default:
        in.skip();
    }
}

}  // namespace detail

inline std::string to_protobuf(const forward_backward_request& request, protobuf_options options = {}) {
  const std::int64_t seq_id = request.seq_id.value_or(0);
  if (seq_id < 0 || seq_id > std::numeric_limits<std::int32_t>::max())
    throw error(errc::data, "seq_id " + std::to_string(seq_id) + " does not fit a protobuf int32");
  std::size_t size = 64 + request.model_id.size() + request.loss_fn.size();
  for (const auto& item : request.loss_fn_config) size += 64 + 2 * item.name.size();
  for (const auto& item : request.data) size += detail::field_size(detail::datum_size(item));
  std::string body;
  body.reserve(size);
  protobuf_writer out(body);
  out.text(1, request.model_id);
  out.scalar(2, static_cast<std::uint64_t>(seq_id));
  for (const auto& item : request.data) {
    out.head(3, detail::datum_size(item));
    detail::append_datum(out, item);
  }
  out.text(4, request.loss_fn);
  detail::append_numbers(out, request.loss_fn_config);
  out.scalar(6, request.forward_only ? 1 : 0);
  detail::append_config_v2(out, request.loss_fn_config, options.loss_fn_config_v2);
  return body;
}

}  // namespace wire
}  // namespace gradwire::inline v0
