// SPDX-License-Identifier: Apache-2.0
// Appends protobuf fields to one string. Lengths are computed before, so that nothing is moved after it is written, and
// arrays go from their storage into the body in one copy.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <protozero/buffer_string.hpp>
#include <protozero/types.hpp>
#include <protozero/varint.hpp>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace gradwire::inline v0 {
namespace wire {

static_assert(std::endian::native == std::endian::little, "gradwire writes raw little-endian arrays");

namespace detail {

constexpr std::size_t varint_size(std::uint64_t value) noexcept {
  std::size_t size = 1;
  for (; value >= 0x80; value >>= 7) ++size;
  return size;
}

// Bytes of a length-delimited field with a tag below 16.
constexpr std::size_t field_size(std::size_t payload) noexcept { return 1 + varint_size(payload) + payload; }

// … left out when empty.
constexpr std::size_t optional_size(std::size_t payload) noexcept { return payload == 0 ? 0 : field_size(payload); }

constexpr std::size_t varint_field_size(std::uint64_t value) noexcept { return 1 + varint_size(value); }

// A plain scalar is left out when it is zero.
constexpr std::size_t scalar_size(std::uint64_t value) noexcept { return value == 0 ? 0 : varint_field_size(value); }

}  // namespace detail

class protobuf_writer {
 public:
  explicit protobuf_writer(std::string& out) : out_(out) {}

  // The head of a message, string or bytes field whose `size` bytes are appended next.
  void head(unsigned tag, std::size_t size) {
    key(tag, protozero::pbf_wire_type::length_delimited);
    protozero::add_varint_to_buffer(&out_, size);
  }
  void bytes(unsigned tag, std::string_view value) {
    head(tag, value.size());
    out_.append(value);
  }
  void text(unsigned tag, std::string_view value) {
    if (!value.empty()) bytes(tag, value);
  }
  void varint(unsigned tag, std::uint64_t value) {
    key(tag, protozero::pbf_wire_type::varint);
    protozero::add_varint_to_buffer(&out_, value);
  }
  void scalar(unsigned tag, std::uint64_t value) {
    if (value != 0) varint(tag, value);
  }
  void real(unsigned tag, double value) {
    key(tag, protozero::pbf_wire_type::fixed64);
    append(&value, sizeof value);
  }
  void packed(unsigned tag, std::span<const std::int64_t> values, std::size_t size) {
    head(tag, size);
    for (const std::int64_t value : values) protozero::add_varint_to_buffer(&out_, static_cast<std::uint64_t>(value));
  }

  // A bytes field that holds the values as Wire.
  template <class Wire, class T>
  void array(unsigned tag, std::span<const T> values) {
    head(tag, values.size() * sizeof(Wire));
    raw<Wire>(values);
  }

  template <class Wire, class T>
  void raw(std::span<const T> values) {
    if constexpr (std::is_same_v<Wire, T>) {
      append(values.data(), values.size_bytes());
    } else {
      constexpr std::size_t size = 512;
      Wire block[size];
      std::size_t i = 0;
      for (; i + size <= values.size(); i += size) {  // a constant count: the compiler makes vector code of it
        for (std::size_t k = 0; k < size; ++k) block[k] = static_cast<Wire>(values[i + k]);
        append(block, sizeof block);
      }
      const std::size_t rest = values.size() - i;
      for (std::size_t k = 0; k < rest; ++k) block[k] = static_cast<Wire>(values[i + k]);
      append(block, rest * sizeof(Wire));
    }
  }

 private:
  void key(unsigned tag, protozero::pbf_wire_type type) {
    out_ += static_cast<char>(tag << 3 | static_cast<unsigned>(type));
  }
  void append(const void* data, std::size_t size) { out_.append(static_cast<const char*>(data), size); }

  std::string& out_;
};

}  // namespace wire
}  // namespace gradwire::inline v0
