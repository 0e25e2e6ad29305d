// SPDX-License-Identifier: Apache-2.0
// tinker://<run>/<weights|sampler_weights|external_weights>/<name>, and names of checkpoints. Some servers leave the
// middle segment out (tinker://<run>/<name>); other schemes and bare paths belong to a server's own grammar and pass.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace gradwire::inline v0 {
namespace wire {

enum class checkpoint_kind : unsigned char { unknown, training, sampler, external };

struct tinker_path {
  std::string run{};
  checkpoint_kind kind = checkpoint_kind::unknown;  // unknown: the path has two segments
  std::string name{};
};

constexpr std::string_view path_segment(checkpoint_kind kind) noexcept {
  constexpr std::string_view names[] = {"", "weights", "sampler_weights", "external_weights"};
  return names[static_cast<unsigned>(kind)];
}

// What Windows takes for a device whatever stands behind the first dot: CON, nul.txt, COM1 …
constexpr bool is_device_name(std::string_view name) noexcept {
  name = name.substr(0, name.find('.'));
  if (name.size() != 3 && !(name.size() == 4 && name[3] >= '0' && name[3] <= '9')) return false;
  char text[3] = {};
  for (std::size_t i = 0; i < 3; ++i) text[i] = static_cast<char>(name[i] >= 'a' ? name[i] - 'a' + 'A' : name[i]);
  const std::string_view stem(text, 3);
  return name.size() == 4 ? stem == "COM" || stem == "LPT"
                          : stem == "CON" || stem == "PRN" || stem == "AUX" || stem == "NUL";
}

// Letters, digits, '_', '-' and '.', at most 128 of them, not beginning with a dot, no device: safe as a folder on any
// system and in a URL.
constexpr bool is_checkpoint_name(std::string_view name) noexcept {
  if (name.empty() || name.size() > 128 || name[0] == '.') return false;
  for (const char c : name) {
    const bool known =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
    if (!known) return false;
  }
  return name.find("..") == std::string_view::npos && !is_device_name(name);
}

inline std::string to_string(const tinker_path& path) {
  std::string text = "tinker://" + path.run + "/";
  if (path.kind != checkpoint_kind::unknown) text += std::string(path_segment(path.kind)) + "/";
  return text + path.name;
}

// An id as one segment of a URL's path: only what cannot stand there is escaped, so "session:train:0" stays itself.
inline std::string url_segment(std::string_view id) {
  constexpr std::string_view fine = "-._~:@!$&'()*+,;=";
  constexpr char digits[] = "0123456789ABCDEF";
  std::string text;
  for (const char c : id) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       fine.find(c) != std::string_view::npos;
    if (plain) {
      text += c;
    } else {
      text += '%';
      text += digits[static_cast<unsigned char>(c) >> 4];
      text += digits[static_cast<unsigned char>(c) & 15];
    }
  }
  return text;
}

// Nothing when it is not a tinker path of two or three segments.
inline std::optional<tinker_path> parse_tinker_path(std::string_view text) {
  constexpr std::string_view scheme = "tinker://";
  if (text.substr(0, scheme.size()) != scheme) return {};
  text.remove_prefix(scheme.size());
  const auto first = text.find('/');
  if (first == std::string_view::npos || first == 0) return {};
  tinker_path path{.run = std::string(text.substr(0, first))};
  text.remove_prefix(first + 1);
  if (const auto second = text.find('/'); second != std::string_view::npos) {
    for (const auto kind : {checkpoint_kind::training, checkpoint_kind::sampler, checkpoint_kind::external})
      if (text.substr(0, second) == path_segment(kind)) path.kind = kind;
    if (path.kind == checkpoint_kind::unknown) return {};
    text.remove_prefix(second + 1);
  }
  if (text.empty() || text.find('/') != std::string_view::npos) return {};
  path.name = text;
  return path;
}

}  // namespace wire
}  // namespace gradwire::inline v0
