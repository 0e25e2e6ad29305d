// SPDX-License-Identifier: Apache-2.0
// to_json and from_json for every message, from the one list of its members (json_members.hpp) or from write/read
// functions of its own. Both directions: the client writes requests and reads replies, the embedded server the other
// way.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradwire/wire/json_members_checkpoint.hpp>
#include <gradwire/wire/json_reader.hpp>
#include <gradwire/wire/json_writer.hpp>

namespace gradwire::inline v0 {
namespace wire {

class json_object_writer {
 public:
  explicit json_object_writer(json_writer& out) : out_(out) {}

  template <class T>
  void operator()(std::string_view name, const T& value) {
    write(out_.key(name), value);
  }
  template <class T>
  void operator()(std::string_view name, const std::optional<T>& value) {
    if (value) write(out_.key(name), *value);
  }
  void required(std::string_view name, const auto& value) { write(out_.key(name), value); }
  void unless_empty(std::string_view name, const auto& value) {
    if (!value.empty()) write(out_.key(name), value);
  }
  void constant(std::string_view name, std::string_view text) { out_.key(name).string(text); }

 private:
  json_writer& out_;
};

class json_object_reader {
 public:
  explicit json_object_reader(const json_reader& in) : in_(in) {}

  void operator()(std::string_view name, auto& value) {
    in_.member(name, [&](const json_reader& found) { read(found, value); });
  }
  void required(std::string_view name, auto& value) {
    if (!in_.member(name, [&](const json_reader& found) { read(found, value); })) in_.missing(name);
  }
  void unless_empty(std::string_view name, auto& value) { (*this)(name, value); }
  void constant(std::string_view, std::string_view) {}

 private:
  const json_reader& in_;
};

template <class M>
concept has_members = requires(json_object_writer& visit, const M& m) {
  members(visit, m);
};

inline void write(json_writer& out, const std::string& value) { out.string(value); }
inline void write(json_writer& out, bool value) { out.boolean(value); }
template <std::integral T>
void write(json_writer& out, T value) {
  out.integer(static_cast<std::int64_t>(value));
}
template <std::floating_point T>
void write(json_writer& out, T value) {
  out.real(value);
}

template <class T>
void write(json_writer& out, const std::vector<T>& values) {
  out.begin_array();
  for (const auto& value : values) write(out, value);
  out.end_array();
}

inline void write(json_writer& out, const std::vector<std::pair<std::string, std::string>>& pairs) {
  out.begin_object();
  for (const auto& [name, value] : pairs) out.key(name).string(value);
  out.end_object();
}

template <has_members M>
void write(json_writer& out, const M& message) {
  out.begin_object();
  json_object_writer visit(out);
  members(visit, message);
  out.end_object();
}

template <has_members M>
void read(const json_reader& in, M& message) {
  if (in.kind() != json_kind::object) return in.issue("dict_type", "Input should be an object");
  json_object_reader visit(in);
  members(visit, message);
}

template <class M>
std::string to_json(const M& message, nonfinite policy = nonfinite::refuse, std::size_t expected_bytes = 256) {
  json_writer out(policy, expected_bytes);
  write(out, message);
  return std::move(out).take();
}

template <class M>
M from_json(const json_document& document) {
  std::vector<validation_issue> issues;
  M message{};
  read(json_reader(document, issues), message);
  if (!issues.empty()) throw validation_error(std::move(issues));
  return message;
}

// Throws errc::decode: a validation_error with the place of every mistake, or a plain error when it is not JSON.
template <class M>
M from_json(std::string_view text) {
  return from_json<M>(json_document(text));
}

}  // namespace wire
}  // namespace gradwire::inline v0
