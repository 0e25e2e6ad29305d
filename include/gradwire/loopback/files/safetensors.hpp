// SPDX-License-Identifier: Apache-2.0
// The safetensors format: 8 bytes of header length, a JSON header {name: {dtype, shape, data_offsets}}, raw values.
// Reads F32, F16, BF16 and F64 as float; writes F32 or BF16.  source: huggingface/safetensors, README
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <gradwire/error.hpp>
#include <gradwire/loopback/files/bf16.hpp>
#include <gradwire/loopback/files/staged_directory.hpp>
#include <gradwire/loopback/files/text_file.hpp>
#include <gradwire/wire/json_writer.hpp>

namespace gradwire::inline v0 {
namespace loopback {

struct tensor_values {
  std::string name{};
  std::vector<std::int64_t> shape{};
  std::span<const float> values{};
};

inline void write_safetensors(const std::filesystem::path& path, std::span<const tensor_values> tensors,
                              bool as_bf16 = false) {
  static_assert(std::endian::native == std::endian::little);
  wire::json_writer header;
  header.begin_object();
  header.key("__metadata__").begin_object();
  header.key("format").string("pt");
  header.end_object();
  std::int64_t offset = 0;
  for (const tensor_values& tensor : tensors) {
    const auto end = offset + static_cast<std::int64_t>(tensor.values.size() * (as_bf16 ? 2 : 4));
    header.key(tensor.name).begin_object();
    header.key("dtype").string(as_bf16 ? "BF16" : "F32");
    header.key("shape").numbers<std::int64_t>(std::span<const std::int64_t>(tensor.shape));
    const std::int64_t offsets[] = {offset, end};
    header.key("data_offsets").numbers<std::int64_t>(std::span<const std::int64_t>(offsets));
    header.end_object();
    offset = end;
  }
  header.end_object();
  std::string text = std::move(header).take();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  detail::open_file out(path, O_WRONLY | O_CREAT | O_EXCL, "create");
  out.write(&length, sizeof(length));
  out.write(text.data(), text.size());
  bf16_words words;
  for (const tensor_values& tensor : tensors) {
    if (!as_bf16) {
      out.write(tensor.values.data(), tensor.values.size_bytes());
      continue;
    }
    words.resize(tensor.values.size());
    for (std::size_t i = 0; i < words.size(); ++i) words[i] = to_bf16(tensor.values[i]);
    out.write(words.data(), 2 * words.size());
  }
  out.sync();
}

class safetensors_file {
 public:
  struct entry {
    std::string dtype;
    std::vector<std::int64_t> shape;
    std::uint64_t begin = 0, end = 0;  // bytes after the header
  };

  explicit safetensors_file(const std::filesystem::path& path) : path_(path), in_(path, std::ios::binary) {
    if (!in_) throw error(errc::config, "cannot read " + path.string());
    const std::uint64_t size = std::filesystem::file_size(path);
    std::uint64_t length = 0;
    in_.read(reinterpret_cast<char*>(&length), sizeof(length));
    if (!in_ || length > size - 8 || length > (std::uint64_t{100} << 20)) broken("its header is longer than the file");
    std::string header(length, '\0');
    in_.read(header.data(), static_cast<std::streamsize>(length));
    if (!in_) broken("its header cannot be read");
    data_ = 8 + length;
    naming_file(path, [&] { read_header(header, size); });
  }

  const std::map<std::string, entry>& entries() const { return entries_; }

  // The values of one tensor as float; `into` has as many elements as the tensor.
  void read(const std::string& name, std::span<float> into) {
    const entry& tensor = entries_.at(name);
    const std::size_t bytes_each = width(tensor.dtype);
    if (bytes_each == 0) broken("'" + name + "' is of type " + tensor.dtype + "; F32, F16, BF16 and F64 are read");
    in_.clear();
    in_.seekg(static_cast<std::streamoff>(data_ + tensor.begin));
    std::vector<char> raw;
    char* bytes = reinterpret_cast<char*>(into.data());
    if (tensor.dtype != "F32") raw.resize(tensor.end - tensor.begin), bytes = raw.data();
    in_.read(bytes, static_cast<std::streamsize>(tensor.end - tensor.begin));
    if (!in_) broken("'" + name + "' cannot be read");
    for (std::size_t i = 0; i < into.size() && !raw.empty(); ++i)
      into[i] = widen(tensor.dtype, raw.data() + i * bytes_each);
  }

 private:
  void read_header(const std::string& header, std::uint64_t size) {
    const wire::json_document json(header);
    if (json.root().kind != wire::json_kind::object) broken("its header is not a JSON object");
    for (const wire::json_node* node = json.first(json.root()); node; node = json.next(*node)) {
      if (node->key == "__metadata__") continue;
      const json_members members(json, *node);
      entry made{members.text("dtype", ""), members.numbers<std::int64_t>("shape"), 0, 0};
      const auto offsets = members.numbers<std::int64_t>("data_offsets");
      if (offsets.size() != 2 || offsets[0] < 0 || offsets[1] < offsets[0] ||
          static_cast<std::uint64_t>(offsets[1]) > size - data_)
        broken("the data of '" + std::string(node->key) + "' lies outside of it");
      made.begin = static_cast<std::uint64_t>(offsets[0]), made.end = static_cast<std::uint64_t>(offsets[1]);
      std::uint64_t bytes = width(made.dtype);
      for (const std::int64_t extent : made.shape)
        if (extent < 0 || __builtin_mul_overflow(bytes, static_cast<std::uint64_t>(extent), &bytes))
          broken("'" + std::string(node->key) + "' has an impossible shape");
      if (bytes != made.end - made.begin && width(made.dtype) != 0)
        broken("'" + std::string(node->key) + "' has another size than its shape says");
      entries_.emplace(node->key, std::move(made));
    }
  }

  [[noreturn]] void broken(const std::string& why) const {
    throw error(errc::config, path_.string() + " is not a usable safetensors file: " + why);
  }

  static std::size_t width(const std::string& dtype) {
    return dtype == "F32" ? 4 : dtype == "F16" || dtype == "BF16" ? 2 : dtype == "F64" ? 8 : 0;
  }

  static float widen(const std::string& dtype, const char* from) {
    if (dtype == "F64") {
      double value = 0;
      std::memcpy(&value, from, sizeof(value));
      return static_cast<float>(value);
    }
    std::uint16_t half = 0;
    std::memcpy(&half, from, sizeof(half));
    if (dtype == "BF16") return from_bf16(half);
    const int exponent = (half >> 10) & 31, mantissa = half & 1023;
    const float magnitude = exponent == 31  ? (mantissa ? std::numeric_limits<float>::quiet_NaN() : INFINITY)
                            : exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -24)
                                            : std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
    return half & 0x8000 ? -magnitude : magnitude;
  }

  std::filesystem::path path_;
  std::ifstream in_;
  std::uint64_t data_ = 0;  // first byte after the header
  std::map<std::string, entry> entries_;
};

}  // namespace loopback
}  // namespace gradwire::inline v0
