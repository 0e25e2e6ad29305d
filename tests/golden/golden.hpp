// SPDX-License-Identifier: Apache-2.0
// Reads a golden file (format: losses.py beside this header) into plain structs:
//   for (const golden::golden_case& c : golden::read("grpo.json")) …
// Files lie in the folder that the macro GRADWIRE_TEST_DATA names. Numbers go through std::from_chars, because
// Boost.JSON 1.81 is off by an ulp or two for one double in eight and a golden input should be the written one.
#pragma once

#include <boost/json/basic_parser_impl.hpp>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <limits>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#ifndef GRADWIRE_TEST_DATA
#define GRADWIRE_TEST_DATA "."
#endif

namespace golden {

// A JSON value; a number keeps its double. null is NaN, "inf" and "-inf" convert to the infinities.
struct node {
  enum class kind : unsigned char { null, boolean, number, text, array, object };
  kind type = kind::null;
  double number = std::numeric_limits<double>::quiet_NaN();
  std::string text{};
  std::vector<node> items{};                           // of an array
  std::vector<std::pair<std::string, node>> fields{};  // of an object, in the order of the file

  const node* find(std::string_view name) const {
    for (const auto& [key, value] : fields)
      if (key == name) return &value;
    return nullptr;
  }
  const node& operator[](std::string_view name) const {
    if (const node* found = find(name)) return *found;
    throw std::runtime_error("golden file: no key \"" + std::string(name) + "\"");
  }
  double as_double() const {
    if (type == kind::text && (text == "inf" || text == "-inf"))
      return text == "inf" ? std::numeric_limits<double>::infinity() : -std::numeric_limits<double>::infinity();
    if (type != kind::text && type != kind::array && type != kind::object) return number;
    throw std::runtime_error("golden file: expected a number, found \"" + text + "\"");
  }
  std::size_t as_size() const { return static_cast<std::size_t>(as_double()); }
};

namespace detail {

// Handler of boost::json::basic_parser: builds the tree of nodes.
class tree_builder {
 public:
  static constexpr std::size_t max_object_size = std::size_t(-1), max_array_size = std::size_t(-1),
                               max_key_size = std::size_t(-1), max_string_size = std::size_t(-1);
  using error_code = boost::json::error_code;
  using view = boost::json::string_view;

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code&) { return open(node::kind::object); }
  bool on_object_end(std::size_t, error_code&) { return close(); }
  bool on_array_begin(error_code&) { return open(node::kind::array); }
  bool on_array_end(std::size_t, error_code&) { return close(); }
  bool on_key_part(view part, std::size_t, error_code&) { return append(key_, part); }
  bool on_key(view part, std::size_t, error_code&) { return append(key_, part); }
  bool on_string_part(view part, std::size_t, error_code&) { return append(pending_, part); }
  bool on_string(view part, std::size_t, error_code&) {
    append(pending_, part);
    node value{.type = node::kind::text};
    value.text.swap(pending_);
    return add(std::move(value));
  }
  bool on_number_part(view part, error_code&) { return append(pending_, part); }
  bool on_int64(std::int64_t, view part, error_code& error) { return number(part, error); }
  bool on_uint64(std::uint64_t, view part, error_code& error) { return number(part, error); }
  bool on_double(double, view part, error_code& error) { return number(part, error); }
  bool on_bool(bool value, error_code&) { return add({.type = node::kind::boolean, .number = value ? 1.0 : 0.0}); }
  bool on_null(error_code&) { return add({}); }
  bool on_comment_part(view, error_code&) { return true; }
  bool on_comment(view, error_code&) { return true; }

  node root;

 private:
  static bool append(std::string& to, view part) {
    to.append(part.data(), part.size());
    return true;
  }
  bool number(view part, error_code& error) {
    append(pending_, part);
    node value{.type = node::kind::number};
    const char* end = pending_.data() + pending_.size();
    if (std::from_chars(pending_.data(), end, value.number).ptr != end) error = boost::json::error::syntax;
    pending_.clear();
    return !error && add(std::move(value));
  }
  bool open(node::kind type) {
    stack_.push_back({std::move(key_), node{.type = type}});
    key_.clear();
    return true;
  }
  bool close() {
    auto [key, value] = std::move(stack_.back());
    stack_.pop_back();
    key_ = std::move(key);
    return add(std::move(value));
  }
  bool add(node value) {
    if (stack_.empty())
      root = std::move(value);
    else if (node& parent = stack_.back().second; parent.type == node::kind::array)
      parent.items.push_back(std::move(value));
    else
      parent.fields.emplace_back(std::move(key_), std::move(value));
    key_.clear();
    return true;
  }

  std::vector<std::pair<std::string, node>> stack_;
  std::string key_, pending_;
};

}  // namespace detail

inline node parse(std::string_view text) {
  boost::json::basic_parser<detail::tree_builder> parser{boost::json::parse_options{}};
  boost::json::error_code error;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), error);
  if (error) throw std::runtime_error("golden file: " + error.message() + " at byte " + std::to_string(used));
  return std::move(parser.handler().root);
}

using row = std::vector<double>;           // one value per target, or per sequence
using rows = std::vector<row>;             // [sequence][target], or [target][candidate]
using candidate_rows = std::vector<rows>;  // [sequence][target][candidate]

struct golden_case {
  std::string name, loss, wrt, note;
  std::map<std::string, double> parameters, metrics;
  std::map<std::string, std::string> options;
  std::vector<std::size_t> group_sizes;  // sequences of each group
  bool pairs = false;                    // every group is (chosen, rejected)
  std::size_t candidates = 0;
  std::map<std::string, rows> token;                // column -> values; always has "weights"
  std::map<std::string, row> sequence;              // column -> values
  std::map<std::string, candidate_rows> candidate;  // column -> values
  double value = 0;
  rows slope;                      // d value / d wrt, when wrt has a value per token
  candidate_rows candidate_slope;  // … when it has one per candidate
  double tolerance = 0;

  double parameter(const std::string& key, double otherwise = 0) const {
    const auto found = parameters.find(key);
    return found == parameters.end() ? otherwise : found->second;
  }
  std::string option(const std::string& key) const {
    const auto found = options.find(key);
    return found == options.end() ? std::string{} : found->second;
  }
  // The comparison of losses.py: relative to the larger of the two, absolute below 1.
  bool close(double expected, double found) const {
    const auto magnitude = [](double x) { return x < 0 ? -x : x; };
    const double larger = magnitude(expected) > magnitude(found) ? magnitude(expected) : magnitude(found);
    return magnitude(expected - found) <= tolerance * (larger > 1 ? larger : 1);
  }
};

inline void fill(double& to, const node& from) { to = from.as_double(); }
inline void fill(std::string& to, const node& from) { to = from.text; }
inline void fill(std::size_t& to, const node& from) { to = from.as_size(); }
template <class T>
void fill(std::vector<T>& to, const node& from) {
  to.resize(from.items.size());
  for (std::size_t i = 0; i < to.size(); ++i) fill(to[i], from.items[i]);
}
template <class T>
void fill(std::map<std::string, T>& to, const node& from) {
  for (const auto& [key, value] : from.fields) fill(to[key], value);
}

inline golden_case to_case(const node& from) {
  golden_case c;
  fill(c.name, from["name"]);
  fill(c.loss, from["loss"]);
  fill(c.wrt, from["wrt"]);
  fill(c.note, from["note"]);
  fill(c.parameters, from["parameters"]);
  fill(c.metrics, from["metrics"]);
  fill(c.options, from["options"]);
  fill(c.group_sizes, from["group_sizes"]);
  c.pairs = from["pairs"].as_double() != 0;
  fill(c.candidates, from["candidates"]);
  fill(c.token, from["token"]);
  fill(c.sequence, from["sequence"]);
  fill(c.candidate, from["candidate"]);
  fill(c.value, from["value"]);
  if (c.candidate.count(c.wrt) != 0)
    fill(c.candidate_slope, from["slope"]);
  else
    fill(c.slope, from["slope"]);
  fill(c.tolerance, from["tolerance"]);
  return c;
}

inline std::string path_of(const std::string& file) {
  std::string path = GRADWIRE_TEST_DATA;
  path += '/';
  return path += file;
}

inline std::string text_of(const std::string& file) {
  std::ifstream stream(path_of(file), std::ios::binary);
  if (!stream) throw std::runtime_error("cannot read the golden file " + path_of(file));
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

inline std::vector<golden_case> read(const std::string& file) {
  std::vector<golden_case> cases;
  const node root = parse(text_of(file));
  for (const node& item : root["cases"].items) cases.push_back(to_case(item));
  return cases;
}

}  // namespace golden
