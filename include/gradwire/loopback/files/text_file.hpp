// SPDX-License-Identifier: Apache-2.0
// Small files and the JSON in them, read whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gradwire/error.hpp>
#include <gradwire/wire/json_document.hpp>
#include <gradwire/wire/json_numbers.hpp>

namespace gradwire::inline v0 {
namespace loopback {

inline std::optional<std::string> read_text_if_there(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

inline std::string read_text(const std::filesystem::path& path) {
  std::optional<std::string> text = read_text_if_there(path);
  if (!text) throw error(errc::config, "cannot read " + path.string());
  return std::move(*text);
}

// Runs f, which reads JSON out of the file at `path`, and names the file in what goes wrong.
template <class F>
auto naming_file(const std::filesystem::path& path, F&& f) {
  try {
    return f();
  } catch (const error& e) {
    const std::string said = e.what();
    if (said.find(path.string()) != std::string::npos) throw;
    throw error(errc::config, path.string() + ": " + said.substr(said.find(": ") + 2), e.details());
  }
}

// Members of a JSON object with a default for those that are missing or null; a member of another kind is errc::config.
class json_members {
 public:
  json_members(const wire::json_document& document, const wire::json_node& object) : json_(document), node_(object) {}

  const wire::json_node* find(std::string_view key) const {
    const wire::json_node* found = json_.find(node_, key);
    return found && found->kind != wire::json_kind::null ? found : nullptr;
  }

  template <class T>
  T number(std::string_view key, T fallback) const {
    const wire::json_node* found = find(key);
    if (!found) return fallback;
    T value{};
    const char* begin = found->text.data();
    const char* end = begin + found->text.size();
    if (found->kind != wire::json_kind::number || wire::detail::read_number(begin, end, value) != end)
      mistaken(key, "a number");
    return value;
  }

  bool flag(std::string_view key, bool fallback) const {
    const wire::json_node* found = find(key);
    if (!found) return fallback;
    if (found->kind != wire::json_kind::boolean) mistaken(key, "true or false");
    return found->flag;
  }

  std::string text(std::string_view key, std::string_view fallback) const {
    const wire::json_node* found = find(key);
    if (!found) return std::string(fallback);
    if (found->kind != wire::json_kind::string) mistaken(key, "a string");
    return std::string(found->text);
  }

  std::vector<std::string> texts(std::string_view key) const {
    std::vector<std::string> values;
    const wire::json_node* found = find(key);
    for (const wire::json_node* node = found ? json_.first(*found) : nullptr; node; node = json_.next(*node))
      values.emplace_back(node->text);
    return values;
  }

  // One number or a list of them.
  template <class T>
  std::vector<T> numbers(std::string_view key) const {
    const wire::json_node* found = find(key);
    std::vector<T> values;
    if (!found) return values;
    if (found->kind == wire::json_kind::number) return {number<T>(key, T{})};
    if (found->kind == wire::json_kind::array && !json_.first(*found)) return values;
    if (found->kind != wire::json_kind::numbers || wire::read_numbers(found->text, values).why)
      mistaken(key, "a list of numbers");
    return values;
  }

 private:
  [[noreturn]] void mistaken(std::string_view key, const char* expected) const {
    throw error(errc::config, "'" + std::string(key) + "' must be " + expected);
  }

  const wire::json_document& json_;
  const wire::json_node& node_;
};

}  // namespace loopback
}  // namespace gradwire::inline v0
