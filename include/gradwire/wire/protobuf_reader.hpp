// SPDX-License-Identifier: Apache-2.0
// What the protobuf decoders share: raw little-endian arrays, map entries, and one kind of error. Fields of an unknown
// number, or of another wire type than expected, are passed over, as every protobuf reader does.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <protozero/pbf_reader.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gradwire/error.hpp>
#include <gradwire/wire/tensor.hpp>

namespace gradwire::inline v0 {
namespace wire {
namespace detail {

using protozero::pbf_reader;
using protozero::pbf_wire_type;

[[noreturn]] inline void malformed(const std::string& why) { throw error(errc::decode, "malformed protobuf: " + why); }

constexpr std::uint32_t text_field(unsigned tag) {
  return protozero::tag_and_type(tag, pbf_wire_type::length_delimited);
}
constexpr std::uint32_t varint_field(unsigned tag) { return protozero::tag_and_type(tag, pbf_wire_type::varint); }
constexpr std::uint32_t double_field(unsigned tag) { return protozero::tag_and_type(tag, pbf_wire_type::fixed64); }

inline std::string_view view(pbf_reader& in) {
  const auto data = in.get_view();
  return {data.data(), data.size()};
}
inline std::string text(pbf_reader& in) { return std::string(view(in)); }

// Copied once, because the body's bytes are not aligned.
template <class T>
array<T> read_array(std::string_view bytes, const char* what) {
  if (bytes.size() % sizeof(T) != 0)
    malformed(std::string(what) + ": " + std::to_string(bytes.size()) + " bytes are not a multiple of " +
              std::to_string(sizeof(T)));
  const std::size_t count = bytes.size() / sizeof(T);
  if (count == 0) return {};
  auto values = std::make_shared_for_overwrite<T[]>(count);
  std::memcpy(values.get(), bytes.data(), bytes.size());
  return {std::span<const T>(values.get(), count), values};
}

inline dtype read_dtype(pbf_reader& in) {
  const auto number = in.get_enum();
  if (number < 0 || number > 4) malformed("unknown dtype " + std::to_string(number));
  return static_cast<dtype>(number);
}

constexpr std::size_t width(dtype type) noexcept {
  constexpr std::size_t widths[] = {0, 4, 8, 4, 2};
  return widths[static_cast<unsigned>(type)];
}

// The values of a buffer in a storage type that we have: bfloat16 widened to float, int32 to int64.
inline tensor::storage_type read_values(std::string_view bytes, dtype type, const char* what) {
  switch (type) {
    case dtype::float32:
      return read_array<float>(bytes, what);
    case dtype::int64:
      return read_array<std::int64_t>(bytes, what);
    case dtype::int32: {
      const auto narrow = read_array<std::int32_t>(bytes, what);
      return array<std::int64_t>(std::vector<std::int64_t>(narrow.begin(), narrow.end()));
    }
    case dtype::bfloat16: {
      const auto halves = read_array<std::uint16_t>(bytes, what);
      std::vector<float> values(halves.size());
      for (std::size_t i = 0; i < halves.size(); ++i) {
        const std::uint32_t bits = std::uint32_t{halves[i]} << 16;
        std::memcpy(&values[i], &bits, 4);
      }
      return array<float>(std::move(values));
    }
    case dtype::unspecified:
      break;
  }
  malformed(std::string(what) + ": no dtype");
}

inline void read_shape(pbf_reader& in, shape_type& shape) {
  if (in.wire_type() == pbf_wire_type::varint) {  // not packed
    shape.push_back(in.get_int64());
  } else {
    for (const std::int64_t extent : in.get_packed_int64()) shape.push_back(extent);
  }
  if (shape.size() > 16) malformed("a shape of more than 16 extents");
}

// Calls f(key, reader of the value's message) for an entry of map<string, message>.
template <class F>
void read_entry(pbf_reader entry, F&& f) {
  std::string key;
  pbf_reader value;
  while (entry.next()) switch (entry.tag_and_type()) {
      case text_field(1):
        key = text(entry);
        break;
      case text_field(2):
        value = entry.get_message();
        break;
      default:
        entry.skip();
    }
  f(std::move(key), value);
}

// An entry of map<string, double>.
inline void read_entry(pbf_reader entry, std::string& key, double& value) {
  while (entry.next()) switch (entry.tag_and_type()) {
      case text_field(1):
        key = text(entry);
        break;
      case double_field(2):
        value = entry.get_double();
        break;
      default:
        entry.skip();
    }
}

}  // namespace detail
}  // namespace wire
}  // namespace gradwire::inline v0
