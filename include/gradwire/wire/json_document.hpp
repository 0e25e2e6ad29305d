// SPDX-License-Identifier: Apache-2.0
// A JSON text as a flat list of nodes, made by Boost.JSON's SAX parser. Numbers keep their text (Boost.JSON 1.81
// misreads doubles by an ulp or two), and a flat array of numbers is one node: its text is skipped here and later
// read straight into the column that wants it. Nothing is copied: the text must outlive the document.
#pragma once

#include <boost/json/basic_parser_impl.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradwire/error.hpp>

namespace gradwire::inline v0 {
namespace wire {

struct json_limits {
  std::size_t max_depth = 32;
  std::size_t max_nodes = std::size_t{1} << 24;
};

enum class json_kind : unsigned char { null, boolean, number, string, numbers, array, object };

struct json_node {
  std::string_view key;     // of a member of an object
  std::string_view text;    // a string; a number; the text between the brackets of a flat array of numbers
  std::uint32_t first = 0;  // first child, 0: none
  std::uint32_t next = 0;   // next sibling, 0: none
  json_kind kind = json_kind::null;
  bool flag = false;  // the value of a boolean
};

class json_document {
 public:
  explicit json_document(std::string_view text, json_limits limits = {});

  const json_node& root() const noexcept { return nodes_[0]; }

  // nullptr when there is none of that name, or no object at all. The last of several counts, as in Python.
  const json_node* find(const json_node& object, std::string_view key) const noexcept {
    const json_node* found = nullptr;
    if (object.kind == json_kind::object)
      for (const json_node* child = first(object); child != nullptr; child = next(*child))
        if (child->key == key) found = child;
    return found;
  }

  const json_node* first(const json_node& parent) const noexcept { return at(parent.first); }
  const json_node* next(const json_node& child) const noexcept { return at(child.next); }

 private:
  struct handler;
  const json_node* at(std::uint32_t index) const noexcept { return index == 0 ? nullptr : &nodes_[index]; }

  std::vector<json_node> nodes_;
  std::deque<std::string> kept_;  // strings with escapes, decoded
};

// Collects the parser's events as nodes.
struct json_document::handler {
  static constexpr std::size_t max_object_size = std::size_t(-1);
  static constexpr std::size_t max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = std::size_t(-1);
  static constexpr std::size_t max_string_size = std::size_t(-1);

  using error_code = boost::json::error_code;
  using string_view = boost::json::string_view;

  struct open_container {
    std::uint32_t node;
    std::uint32_t last_child;
  };

  json_document* document = nullptr;
  std::string_view input;
  std::size_t max_nodes = 0;
  std::vector<open_container> open;
  std::string_view key;
  std::string part;               // text that arrived in pieces
  bool array_just_begun = false;  // the last event was the opening bracket of an array

  // The text as a view of the input where it is one, else of a kept copy.
  std::string_view settle(string_view last) {
    const std::less_equal<const char*> not_after;
    const bool inside = not_after(input.data(), last.data()) && not_after(last.data(), input.data() + input.size());
    if (part.empty() && inside) return {last.data(), last.size()};
    part.append(last.data(), last.size());
    document->kept_.push_back(std::move(part));
    part.clear();
    return document->kept_.back();
  }

  bool add(json_kind kind, std::string_view text, error_code& error) {
    array_just_begun = false;
    auto& nodes = document->nodes_;
    if (nodes.size() >= max_nodes) {
      error = boost::json::error::array_too_large;
      return false;
    }
    const auto index = static_cast<std::uint32_t>(nodes.size());
    nodes.push_back({.key = key, .text = text, .kind = kind});
    key = {};
    if (!open.empty()) {
      auto& parent = open.back();
      (parent.last_child == 0 ? nodes[parent.node].first : nodes[parent.last_child].next) = index;
      parent.last_child = index;
    }
    return true;
  }

  bool begin(json_kind kind, error_code& error) {
    const auto index = static_cast<std::uint32_t>(document->nodes_.size());
    if (!add(kind, {}, error)) return false;
    open.push_back({index, 0});
    return true;
  }

  bool end() {
    array_just_begun = false;
    open.pop_back();
    return true;
  }

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code& error) { return begin(json_kind::object, error); }
  bool on_object_end(std::size_t, error_code&) { return end(); }
  bool on_array_begin(error_code& error) {
    if (!begin(json_kind::array, error)) return false;
    array_just_begun = true;
    return true;
  }
  bool on_array_end(std::size_t, error_code&) { return end(); }
  bool on_key_part(string_view text, std::size_t, error_code&) { return keep(text); }
  bool on_key(string_view text, std::size_t, error_code&) {
    key = settle(text);
    return true;
  }
  bool on_string_part(string_view text, std::size_t, error_code&) { return keep(text); }
  bool on_string(string_view text, std::size_t, error_code& error) {
    return add(json_kind::string, settle(text), error);
  }
  bool on_number_part(string_view text, error_code&) { return keep(text); }
  bool on_int64(std::int64_t, string_view text, error_code& error) { return number(text, error); }
  bool on_uint64(std::uint64_t, string_view text, error_code& error) { return number(text, error); }
  bool on_double(double, string_view text, error_code& error) { return number(text, error); }
  bool on_bool(bool value, error_code& error) {
    if (!add(json_kind::boolean, {}, error)) return false;
    document->nodes_.back().flag = value;
    return true;
  }
  bool on_null(error_code& error) { return add(json_kind::null, {}, error); }
  bool on_comment_part(string_view, error_code&) { return true; }
  bool on_comment(string_view, error_code&) { return true; }

  bool keep(string_view text) {
    array_just_begun = false;
    part.append(text.data(), text.size());
    return true;
  }
  bool number(string_view text, error_code& error) { return add(json_kind::number, settle(text), error); }

  // After an opening bracket: takes the text up to the closing one as one node when it can only be a flat array of
  // numbers and nulls. Returns the number of bytes taken.
  std::size_t take_numbers(std::string_view rest) {
    std::size_t at = 0;
    while (at < rest.size() && (rest[at] == ' ' || rest[at] == '\n' || rest[at] == '\t' || rest[at] == '\r')) ++at;
    if (at == rest.size()) return 0;
    if (!(rest[at] == '-' || rest[at] == 'n' || (rest[at] >= '0' && rest[at] <= '9'))) return 0;
    const std::size_t end = rest.find(']');
    if (end == std::string_view::npos) return 0;
    for (const char other : {'[', '{', '"'})
      if (std::memchr(rest.data(), other, end) != nullptr) return 0;
    auto& node = document->nodes_[open.back().node];
    node.kind = json_kind::numbers;
    node.text = rest.substr(0, end);
    return end;
  }
};

inline json_document::json_document(std::string_view text, json_limits limits) {
  boost::json::parse_options options;
  options.max_depth = limits.max_depth;
  boost::json::basic_parser<handler> parser(options);
  auto& events = parser.handler();
  events.document = this;
  events.input = text;
  events.max_nodes = limits.max_nodes;
  const auto fail = [&](const char* why, std::size_t offset) {
    error_details details;
    details.value = text.substr(offset, 40);
    throw error(errc::decode, "not valid JSON (" + std::string(why) + " near byte " + std::to_string(offset) + ")",
                std::move(details));
  };
  // The parser is fed up to and including each opening bracket, so that a flat array can be taken out of its hands.
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t bracket = text.find('[', from);
    const std::size_t to = bracket == std::string_view::npos ? text.size() : bracket + 1;
    boost::json::error_code problem;
    const std::size_t used = parser.write_some(true, text.data() + from, to - from, problem);
    if (problem) fail(problem.message().c_str(), from + used);
    if (used != to - from) fail("text after the end of the value", from + used);
    from = to;
    if (events.array_just_begun) from += events.take_numbers(text.substr(from));
  }
  boost::json::error_code problem;
  parser.write_some(false, text.data() + text.size(), 0, problem);
  if (problem) fail(problem.message().c_str(), text.size());
  if (nodes_.empty()) fail("no value", text.size());
}

}  // namespace wire
}  // namespace gradwire::inline v0
