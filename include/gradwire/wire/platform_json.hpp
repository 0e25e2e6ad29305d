// SPDX-License-Identifier: Apache-2.0
// The control plane's JSON (protobuf's mapping): names in camelCase when written, camelCase or snake_case when read;
// 64-bit integers as text or as numbers; a member that has its default may be left out. Each message lists its members
// once, in a function members(visit, message) for reading, writing and naming:
//
//   visit("name", member)         written always, except an empty optional
//   visit.sparse("name", member)  written unless it is empty, 0 or false
//   visit.number("name", member)  a 64-bit integer, written as text
//   visit.constant("name", text)  written, ignored when read
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <gradwire/wire/json_reader.hpp>
#include <gradwire/wire/json_writer.hpp>

namespace gradwire::inline v0 {
namespace wire::platform {

template <class M, class Message>
concept is = std::same_as<std::remove_const_t<M>, Message>;

using text_map = std::vector<std::pair<std::string, std::string>>;

// trainerImageTag → trainer_image_tag
inline std::string snake_case(std::string_view camel) {
  std::string text;
  for (const char c : camel) {
    if (c >= 'A' && c <= 'Z') {
      text += '_';
      text += static_cast<char>(c - 'A' + 'a');
    } else {
      text += c;
    }
  }
  return text;
}

namespace detail {

template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;

template <class T>
void put(json_writer& out, const T& value);
template <class T>
void take(const json_reader& in, T& value);

template <class T>
bool is_default(const T& value) {
  if constexpr (requires { value.empty(); })
    return value.empty();
  else if constexpr (requires { value.has_value(); })
    return !value.has_value();
  else
    return value == T{};
}

class writer {
 public:
  explicit writer(json_writer& out) : out_(out) {}
  template <class T>
  void operator()(std::string_view name, const T& value) {
    put(out_.key(name), value);
  }
  template <class T>
  void operator()(std::string_view name, const std::optional<T>& value) {
    if (value) put(out_.key(name), *value);
  }
  void sparse(std::string_view name, const auto& value) {
    if (!is_default(value)) (*this)(name, value);
  }
  void number(std::string_view name, std::int64_t value) {
    if (value != 0) out_.key(name).string(std::to_string(value));
  }
  void constant(std::string_view name, std::string_view text) { out_.key(name).string(text); }

 private:
  json_writer& out_;
};

class reader {
 public:
  explicit reader(const json_reader& in) : in_(in) {}
  void operator()(std::string_view name, auto& value) {
    const auto read_it = [&](const json_reader& found) { take(found, value); };
    if (!in_.member(name, read_it)) in_.member(snake_case(name), read_it);
  }
  void sparse(std::string_view name, auto& value) { (*this)(name, value); }
  void number(std::string_view name, std::int64_t& value) { (*this)(name, value); }
  void constant(std::string_view, std::string_view) {}

 private:
  const json_reader& in_;
};

class namer {
 public:
  void operator()(std::string_view name, const auto&) { names.emplace_back(name); }
  void sparse(std::string_view name, const auto&) { names.emplace_back(name); }
  void number(std::string_view name, const auto&) { names.emplace_back(name); }
  void constant(std::string_view name, std::string_view) { names.emplace_back(name); }
  std::vector<std::string> names{};
};

template <class T>
void put(json_writer& out, const T& value) {
  if constexpr (std::same_as<T, bool>) {
    out.boolean(value);
  } else if constexpr (std::integral<T>) {
    out.integer(static_cast<std::int64_t>(value));
  } else if constexpr (std::floating_point<T>) {
    out.real(static_cast<double>(value));
  } else if constexpr (std::same_as<T, std::string>) {
    out.string(value);
  } else if constexpr (std::same_as<T, text_map>) {
    out.begin_object();
    for (const auto& [name, text] : value) out.key(name).string(text);
    out.end_object();
  } else if constexpr (is_vector<T>) {
    out.begin_array();
    for (const auto& each : value) put(out, each);
    out.end_array();
  } else if constexpr (requires { value.put(out); }) {
    value.put(out);
  } else {
    out.begin_object();
    writer visit(out);
    members(visit, value);
    out.end_object();
  }
}

// Also text of digits, as 64-bit integers come.
template <class T>
void take_number(const json_reader& in, T& value) {
  const std::string_view text = in.text();
  T number{};
  const bool fits =
      (in.kind() == json_kind::number || in.kind() == json_kind::string) &&
      wire::detail::read_number(text.data(), text.data() + text.size(), number) == text.data() + text.size();
  if (!fits)
    return in.issue(std::floating_point<T> ? "float_type" : "int_type",
                    std::floating_point<T> ? "Input should be a valid number" : "Input should be a valid integer");
  value = number;
}

template <class T>
void take(const json_reader& in, T& value) {
  if constexpr (std::same_as<T, bool>) {
    read(in, value);
  } else if constexpr (std::integral<T> || std::floating_point<T>) {
    take_number(in, value);
  } else if constexpr (std::same_as<T, std::string> || std::same_as<T, text_map>) {
    read(in, value);
  } else if constexpr (requires { value.has_value(); }) {
    take(in, value.emplace());
  } else if constexpr (is_vector<T>) {
    if constexpr (std::is_arithmetic_v<typename T::value_type>) {
      value = in.template numbers<typename T::value_type>();
    } else {
      if (in.kind() != json_kind::array) return in.issue("list_type", "Input should be a valid list");
      value.clear();
      in.each([&](const json_reader& item) { take(item, value.emplace_back()); });
    }
  } else if constexpr (requires { value.take(in); }) {
    value.take(in);
  } else {
    if (in.kind() != json_kind::object) return in.issue("dict_type", "Input should be an object");
    reader visit(in);
    members(visit, value);
  }
}

}  // namespace detail

template <class M>
std::string to_json(const M& message) {
  json_writer out;
  detail::put(out, message);
  return std::move(out).take();
}

// Throws errc::decode: a validation_error with the place of every mistake, or a plain error when it is not JSON.
template <class M>
M from_json(const json_document& document) {
  std::vector<validation_issue> issues;
  M message{};
  detail::take(json_reader(document, issues), message);
  if (!issues.empty()) throw validation_error(std::move(issues));
  return message;
}
template <class M>
M from_json(std::string_view text) {
  return platform::from_json<M>(json_document(text));  // not wire::from_json, which is found by its argument
}

// The names that a message has, in camelCase.
template <class M>
std::vector<std::string> names_of() {
  detail::namer visit;
  const M message{};
  members(visit, message);
  return std::move(visit.names);
}

// The members of a JSON object that the message does not have: some services refuse these.
template <class M>
std::vector<std::string> unknown_members(const json_document& document) {
  const auto names = names_of<M>();
  std::vector<std::string> unknown;
  for (const json_node* child = document.first(document.root()); child != nullptr; child = document.next(*child)) {
    bool known = false;
    for (const auto& name : names) known = known || child->key == name || child->key == snake_case(name);
    if (!known) unknown.emplace_back(child->key);
  }
  return unknown;
}

}  // namespace wire::platform
}  // namespace gradwire::inline v0
