// SPDX-License-Identifier: Apache-2.0
// Reads typed values out of a JSON document. A mistake is recorded with its place and the rest is read on, so that a
// server can answer with the whole validation list; a missing or null optional member is left as it was.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradwire/error.hpp>
#include <gradwire/wire/json_document.hpp>
#include <gradwire/wire/json_numbers.hpp>
#include <gradwire/wire/messages_future.hpp>

namespace gradwire::inline v0 {
namespace wire {

// The text was JSON, but not of the expected form. Every mistake that was found, with its place.
class validation_error : public error {
 public:
  explicit validation_error(std::vector<validation_issue> issues)
      : error(errc::decode, sentence(issues)), issues_(std::move(issues)) {}

  const std::vector<validation_issue>& issues() const noexcept { return issues_; }

  static std::string place(const validation_issue& issue) {
    std::string text;
    for (const auto& part : issue.loc) text += (text.empty() ? "" : ".") + part;
    return text;
  }

 private:
  static std::string sentence(const std::vector<validation_issue>& issues) {
    std::string text = place(issues.front()) + ": " + issues.front().msg;
    if (issues.size() > 1) text += " (and " + std::to_string(issues.size() - 1) + " more)";
    return text;
  }

  std::vector<validation_issue> issues_;
};

// A value of the document, its place, and the list that mistakes go to.
class json_reader {
 public:
  json_reader(const json_document& document, std::vector<validation_issue>& issues)
      : document_(&document), node_(&document.root()), issues_(&issues) {}

  json_kind kind() const noexcept { return node_->kind; }
  bool is_null() const noexcept { return node_->kind == json_kind::null; }
  bool is_array() const noexcept { return node_->kind == json_kind::array || node_->kind == json_kind::numbers; }
  std::string_view text() const noexcept { return node_->text; }
  bool flag() const noexcept { return node_->flag; }

  bool has(std::string_view name) const {
    const json_node* member = document_->find(*node_, name);
    return member != nullptr && member->kind != json_kind::null;
  }

  // Calls f(reader of the member) when there is one that is not null.
  template <class F>
  bool member(std::string_view name, F&& f) const {
    const json_node* found = document_->find(*node_, name);
    if (found == nullptr || found->kind == json_kind::null) return false;
    f(json_reader(*this, *found, name));
    return true;
  }

  // Calls f(reader) for each element of an array that is not flat, f(reader) with key() for each object member.
  template <class F>
  void each(F&& f) const {
    std::size_t index = 0;
    for (const json_node* child = document_->first(*node_); child != nullptr; child = document_->next(*child))
      f(json_reader(*this, *child, child->key, index++));
  }
  std::string_view key() const noexcept { return node_->key; }

  // The numbers of a flat array, straight into a column. An empty array is one too.
  template <class T>
  std::vector<T> numbers() const {
    std::vector<T> values;
    if (node_->kind == json_kind::numbers) {
      if (const auto fault = read_numbers(node_->text, values); fault.why != nullptr)
        issue(std::floating_point<T> ? "float_type" : "int_type",
              "value " + std::to_string(fault.index) + " '" + std::string(fault.text) + "' " + fault.why);
    } else if (node_->kind != json_kind::array || node_->first != 0) {
      issue("list_type", "Input should be a list of numbers");
    }
    return values;
  }

  void issue(std::string type, std::string message) const {
    constexpr std::size_t enough = 32;
    if (issues_->size() < enough) issues_->push_back({place(), std::move(type), std::move(message)});
  }
  void missing(std::string_view name) const { json_reader(*this, *node_, name).issue("missing", "Field required"); }

 private:
  json_reader(const json_reader& parent, const json_node& node, std::string_view name,
              std::size_t position = std::size_t(-1))
      : document_(parent.document_),
        node_(&node),
        issues_(parent.issues_),
        parent_(&parent),
        name_(name),
        position_(position) {}

  std::vector<std::string> place() const {
    if (parent_ == nullptr) return {"body"};
    auto parts = parent_->place();
    parts.push_back(name_.empty() && position_ != std::size_t(-1) ? std::to_string(position_) : std::string(name_));
    return parts;
  }

  const json_document* document_;
  const json_node* node_;
  std::vector<validation_issue>* issues_;
  const json_reader* parent_ = nullptr;
  std::string_view name_{};
  std::size_t position_ = std::size_t(-1);
};

inline void read(const json_reader& in, bool& value) {
  if (in.kind() != json_kind::boolean) return in.issue("bool_type", "Input should be a valid boolean");
  value = in.flag();
}

template <class T>
requires((std::integral<T> && !std::same_as<T, bool>) || std::floating_point<T>) void read(const json_reader& in,
                                                                                           T& value) {
  if (std::floating_point<T> && in.is_null()) {
    if constexpr (std::floating_point<T>) value = std::numeric_limits<T>::quiet_NaN();
    return;
  }
  const std::string_view text = in.text();
  const char* const end = text.data() + text.size();
  T number{};
  if (in.kind() != json_kind::number || detail::read_number(text.data(), end, number) != end)
    return in.issue(std::floating_point<T> ? "float_type" : "int_type",
                    std::floating_point<T> ? "Input should be a valid number" : "Input should be a valid integer");
  value = number;
}

inline void read(const json_reader& in, std::string& value) {
  if (in.kind() != json_kind::string) return in.issue("string_type", "Input should be a valid string");
  value = in.text();
}

// Text pairs; other values keep their JSON spelling, because some servers return numbers there.
inline void read(const json_reader& in, std::vector<std::pair<std::string, std::string>>& value) {
  if (in.kind() != json_kind::object) return in.issue("dict_type", "Input should be a valid dictionary");
  value.clear();
  in.each([&](const json_reader& item) {
    std::string text(item.text());
    if (item.kind() == json_kind::boolean) text = item.flag() ? "true" : "false";
    value.emplace_back(item.key(), std::move(text));
  });
}

template <class T>
void read(const json_reader& in, std::optional<T>& value) {
  if (in.is_null())
    value.reset();
  else
    read(in, value.emplace());
}

template <class T>
requires(std::integral<T> || std::floating_point<T>) void read(const json_reader& in, std::vector<T>& value) {
  value = in.numbers<T>();
}

template <class T>
void read(const json_reader& in, std::vector<T>& value) {
  if (!in.is_array()) return in.issue("list_type", "Input should be a valid list");
  if (in.kind() == json_kind::numbers) return in.issue("list_type", "Input should not be a list of numbers");
  value.clear();
  in.each([&](const json_reader& item) { read(item, value.emplace_back()); });
}

}  // namespace wire
}  // namespace gradwire::inline v0
