// SPDX-License-Identifier: Apache-2.0
// Names of the control plane's resources, accounts/<a>/trainingShapes/<s>/versions/<v> and its like, the ids in them,
// and the query behind a path.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gradwire::inline v0 {
namespace wire::platform {

// Lower-case letters, digits and '-', at most 63 of them: what an id of a job, deployment or model may be.
inline constexpr std::size_t longest_id = 63;
constexpr bool is_resource_id(std::string_view id) noexcept {
  if (id.empty() || id.size() > longest_id) return false;
  for (const char c : id)
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) return false;
  return true;
}

// The segments between slashes. An empty one is an empty text.
inline std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> parts;
  for (;;) {
    const auto slash = path.find('/');
    parts.emplace_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    path.remove_prefix(slash + 1);
  }
}

// accounts/<a>/<collection>/<id>, optionally /<subcollection>/<sub>.
struct resource_name {
  std::string account{};
  std::string collection{};  // trainingShapes, rlorTrainerJobs, deployments, models …
  std::string id{};
  std::string subcollection{};  // versions, checkpoints; "": none
  std::string sub{};

  std::string parent() const { return "accounts/" + account + "/" + collection + "/" + id; }
  std::string text() const { return subcollection.empty() ? parent() : parent() + "/" + subcollection + "/" + sub; }
};

// Nothing when a segment is missing, empty, or has a character that cannot stand in a path.
inline std::optional<resource_name> parse_resource_name(std::string_view text) {
  auto parts = split_path(text);
  if ((parts.size() != 4 && parts.size() != 6) || parts[0] != "accounts") return {};
  for (const auto& part : parts) {
    if (part.empty()) return {};
    for (const char c : part) {
      const bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                        c == '_' || c == '.';
      if (!fine) return {};
    }
    if (part == "." || part == "..") return {};
  }
  resource_name name;
  name.account = std::move(parts[1]);
  name.collection = std::move(parts[2]);
  name.id = std::move(parts[3]);
  if (parts.size() == 6) {
    name.subcollection = std::move(parts[4]);
    name.sub = std::move(parts[5]);
  }
  return name;
}

// accounts/<a>/trainingShapes/<s>[/versions/<v>]
inline std::optional<resource_name> parse_shape_name(std::string_view text) {
  auto name = parse_resource_name(text);
  if (!name || name->collection != "trainingShapes") return {};
  if (!name->subcollection.empty() && name->subcollection != "versions") return {};
  return name;
}

inline std::string last_segment(std::string_view name) {
  const auto slash = name.rfind('/');
  return std::string(slash == std::string_view::npos ? name : name.substr(slash + 1));
}

using query_parameters = std::vector<std::pair<std::string, std::string>>;

inline std::string query_escaped(std::string_view text) {
  constexpr char digits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '_' || c == '.' || c == '~';
    if (plain) {
      out += c;
    } else if (c == ' ') {
      out += '+';
    } else {
      out += '%';
      out += digits[static_cast<unsigned char>(c) >> 4];
      out += digits[static_cast<unsigned char>(c) & 15];
    }
  }
  return out;
}

// "?a=1&b=2", or "" when there is none.
inline std::string query_text(const query_parameters& parameters) {
  std::string text;
  for (const auto& [name, value] : parameters)
    text += (text.empty() ? "?" : "&") + query_escaped(name) + "=" + query_escaped(value);
  return text;
}

inline std::string query_unescaped(std::string_view text) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
      out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

struct path_and_query {
  std::string path{};  // not unescaped
  query_parameters query{};

  // The first value of that name, "" when there is none.
  std::string value(std::string_view name) const {
    for (const auto& [key, text] : query)
      if (key == name) return text;
    return {};
  }
  bool has(std::string_view name) const {
    for (const auto& [key, text] : query)
      if (key == name) return true;
    return false;
  }
};

inline path_and_query split_target(std::string_view target) {
  const auto mark = target.find('?');
  path_and_query found{.path = std::string(target.substr(0, mark))};
  if (mark == std::string_view::npos) return found;
  std::string_view rest = target.substr(mark + 1);
  while (!rest.empty()) {
    const auto end = rest.find('&');
    const std::string_view item = rest.substr(0, end);
    const auto equals = item.find('=');
    if (!item.empty())
      found.query.emplace_back(query_unescaped(item.substr(0, equals)),
                               equals == std::string_view::npos ? "" : query_unescaped(item.substr(equals + 1)));
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  return found;
}

}  // namespace wire::platform
}  // namespace gradwire::inline v0
