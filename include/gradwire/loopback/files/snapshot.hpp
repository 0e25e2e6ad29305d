// SPDX-License-Identifier: Apache-2.0
// A snapshot is a folder with weights for serving. It appears whole or not at all (staged_directory.hpp), checksums.txt
// tells a byte that has changed, and its snapshot.json says who it is:
//
//   full     all weights as bfloat16, in Hugging Face's format (config.json, model.safetensors)
//   delta    delta.zst: word XOR word of the snapshot before, tensor after tensor, all low bytes and then all high
//            bytes, as one zstd frame. Most weights keep their bfloat16 from one small step to the next: zeros
//   adapter  a LoRA adapter in PEFT's format, float32
//
// Each carries its identity (the name it was saved under), a delta also that of the snapshot it is the difference to,
// and the SHA-256 of what it gives: of the data of model.safetensors as it would be, or is, or of
// adapter_model.safetensors. Reading refuses what does not fit, naming the snapshots.
#pragma once

#include <zstd.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <gradwire/error.hpp>
#include <gradwire/loopback/files/bf16.hpp>
#include <gradwire/loopback/files/checksums.hpp>
#include <gradwire/loopback/files/text_file.hpp>
#include <gradwire/wire/json_writer.hpp>
#include <gradwire/wire/path.hpp>

namespace gradwire::inline v0 {
namespace loopback {

enum class snapshot_kind : unsigned char { full, delta, adapter };

struct snapshot_description {
  std::string identity{};
  std::string previous_identity{};  // of a delta: the snapshot that it is the difference to
  snapshot_kind kind = snapshot_kind::full;
  std::string sha256{};           // of the weights that it gives
  std::string previous_sha256{};  // of a delta: of the weights that it is applied to
  std::uint64_t words = 0;        // bfloat16 words of the weights; 0: an adapter
  std::string base_model{};
  std::int32_t lora_rank = 0;  // of the model that was trained; 0: every parameter
  std::int64_t step = 0;       // optimizer steps before it was saved
};

inline constexpr const char* snapshot_name = "snapshot.json";
inline constexpr const char* delta_name = "delta.zst";

namespace detail {

inline constexpr std::string_view snapshot_format = "gradwire-snapshot-1";
inline constexpr std::string_view kind_names[] = {"full", "delta", "adapter"};

[[noreturn]] inline void refuse_snapshot(const std::string& identity, const std::string& why) {
  error_details details;
  details.operation = "snapshot";
  details.value = identity;
  throw error(errc::config, "snapshot '" + identity + "' " + why, std::move(details));
}

// The name at the end of tinker://<run>/sampler_weights/<name>; other text is the name itself.
inline std::string identity_of(std::string_view text) { return std::string(text.substr(text.rfind('/') + 1)); }

}  // namespace detail

inline std::string to_json(const snapshot_description& made) {
  wire::json_writer out;
  out.begin_object();
  out.key("format").string(detail::snapshot_format);
  out.key("identity").string(made.identity);
  out.key("kind").string(detail::kind_names[static_cast<unsigned>(made.kind)]);
  if (made.kind == snapshot_kind::delta) {
    out.key("previous_identity").string(made.previous_identity);
    out.key("previous_sha256").string(made.previous_sha256);
  }
  out.key("sha256").string(made.sha256);
  out.key("words").integer(static_cast<std::int64_t>(made.words));
  out.key("base_model").string(made.base_model);
  out.key("lora_rank").integer(made.lora_rank);
  out.key("step").integer(made.step);
  out.end_object();
  return std::move(out).take();
}

// What lies in a folder, every byte checked. errc::config if it is no snapshot, or not as it was saved.
inline snapshot_description describe_snapshot(const std::filesystem::path& folder) {
  verify_checksums(folder, true);
  const auto file = folder / snapshot_name;
  const std::optional<std::string> text = read_text_if_there(file);
  if (!text)
    throw error(errc::config, "there is no snapshot in " + folder.string() +
                                  ": its weights were saved without a checkpoint_type; save a base");
  return naming_file(file, [&] {
    const wire::json_document json(*text);
    const json_members members(json, json.root());
    snapshot_description found{.identity = members.text("identity", ""),
                               .previous_identity = members.text("previous_identity", ""),
                               .sha256 = members.text("sha256", ""),
                               .previous_sha256 = members.text("previous_sha256", ""),
                               .base_model = members.text("base_model", ""),
                               .lora_rank = members.number<std::int32_t>("lora_rank", 0),
                               .step = members.number<std::int64_t>("step", 0)};
    if (const std::string format = members.text("format", ""); format != detail::snapshot_format)
      throw error(errc::config, "its format '" + format + "' is not known");
    const std::string kind = members.text("kind", "");
    const auto words = members.number<std::int64_t>("words", 0);
    const bool is_delta = kind == detail::kind_names[1];
    if (!is_delta && kind != detail::kind_names[0] && kind != detail::kind_names[2])
      throw error(errc::config, "its kind '" + kind + "' is not known");
    if (!wire::is_checkpoint_name(found.identity) || found.sha256.size() != 64 || words < 0)
      throw error(errc::config, "identity, sha256 or words is not what they can be");
    if (is_delta && (!wire::is_checkpoint_name(found.previous_identity) || found.previous_sha256.size() != 64))
      throw error(errc::config, "a delta must say what it is the difference to");
    found.kind = is_delta ? snapshot_kind::delta
                          : (kind == detail::kind_names[0] ? snapshot_kind::full : snapshot_kind::adapter);
    found.words = static_cast<std::uint64_t>(words);
    return found;
  });
}

// The content of delta.zst. Both have as many words.
inline std::string encode_delta(std::span<const std::uint16_t> words, std::span<const std::uint16_t> previous) {
  std::string planes(2 * words.size(), '\0');
  for (std::size_t i = 0; i < words.size(); ++i) {
    const unsigned changed = words[i] ^ previous[i];
    planes[i] = static_cast<char>(changed & 255U);
    planes[words.size() + i] = static_cast<char>(changed >> 8);
  }
  std::string packed(ZSTD_compressBound(planes.size()), '\0');
  const std::size_t size =
      ZSTD_compress(packed.data(), packed.size(), planes.data(), planes.size(), ZSTD_CLEVEL_DEFAULT);
  if (ZSTD_isError(size)) throw error(errc::config, std::string("zstd: ") + ZSTD_getErrorName(size));
  packed.resize(size);
  return packed;
}

// words ^= what delta.zst says. The caller knows that these are the words of found.previous_sha256.
inline void apply_delta(const std::filesystem::path& folder, const snapshot_description& found, bf16_words& words) {
  const std::string packed = read_text(folder / delta_name);
  const std::size_t bytes = 2 * words.size();
  if (found.words != words.size())
    detail::refuse_snapshot(found.identity, "is of a model with " + std::to_string(found.words) +
                                                " weights, this one has " + std::to_string(words.size()));
  std::string planes(bytes, '\0');
  const std::size_t size = ZSTD_decompress(planes.data(), bytes, packed.data(), packed.size());
  if (ZSTD_isError(size) || size != bytes)
    detail::refuse_snapshot(found.identity, std::string("is damaged: ") + delta_name + " does not unpack to " +
                                                std::to_string(bytes) + " bytes; save a base");
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto low = static_cast<unsigned char>(planes[i]), high = static_cast<unsigned char>(planes[words.size() + i]);
    words[i] = static_cast<std::uint16_t>(words[i] ^ (low | (high << 8)));
  }
}

}  // namespace loopback
}  // namespace gradwire::inline v0
