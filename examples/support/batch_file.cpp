// SPDX-License-Identifier: Apache-2.0
#include "batch_file.hpp"

#include <fstream>
#include <gradwire/wire/json_reader.hpp>
#include <iostream>
#include <iterator>
#include <limits>

namespace catalogue {
namespace {

namespace gw = gradwire;
using gw::wire::json_document;
using gw::wire::json_kind;
using gw::wire::json_node;

constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

[[noreturn]] void refuse(std::string_view key, const std::string& what) {
  gw::error_details details;
  details.column = key;
  throw gw::error(gw::errc::data, "\"" + std::string(key) + "\": " + what, std::move(details));
}

// What Python's json module writes for values that JSON does not have: NaN becomes null, ±Infinity "inf" and "-inf".
std::string standard_json(const std::string& text) {
  std::string out;
  out.reserve(text.size());
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') quoted = !quoted;
    if (quoted && text[i] == '\\' && i + 1 < text.size()) {  // with what it escapes
      out += text[i++];
      out += text[i];
    } else if (!quoted && text.compare(i, 3, "NaN") == 0) {
      out += "null";
      i += 2;
    } else if (!quoted && text.compare(i, 9, "-Infinity") == 0) {
      out += "\"-inf\"";
      i += 8;
    } else if (!quoted && text.compare(i, 8, "Infinity") == 0) {
      out += "\"inf\"";
      i += 7;
    } else {
      out += text[i];
    }
  }
  return out;
}

// A JSON value as nested lists of numbers.
struct nested {
  int depth = 0;  // 0: one number
  double value = 0;
  std::vector<nested> members;  // of a list of lists
  std::vector<double> numbers;  // of a list of numbers: depth 1
};

class reader {
 public:
  reader(const json_document& document, std::string_view key) : document_(document), key_(key) {}

  nested read(const json_node& node) {
    nested result;
    if (node.kind == json_kind::numbers) {
      result.depth = 1;
      const auto fault = gw::wire::read_numbers(node.text, result.numbers);
      if (fault.why) refuse(key_, "value '" + std::string(fault.text) + "' " + fault.why);
    } else if (node.kind == json_kind::array) {
      bool lists = false, any = false;
      for (const json_node* child = document_.first(node); child; child = document_.next(*child)) {
        nested each = read(*child);
        if (any && lists != (each.depth > 0)) refuse(key_, "a list holds numbers or lists, not both");
        any = true;
        lists = each.depth > 0;
        result.depth = std::max(result.depth, each.depth + 1);
        if (lists)
          result.members.push_back(std::move(each));
        else
          result.numbers.push_back(each.value);
      }
      if (result.depth == 0) result.depth = 1;  // an empty list
    } else {
      result.value = number(node);
    }
    return result;
  }

 private:
  double number(const json_node& node) {
    if (node.kind == json_kind::null) return nan_value;
    if (node.kind == json_kind::boolean) return node.flag ? 1 : 0;
    if (node.kind == json_kind::number) {
      double value = 0;
      const char* const end = node.text.data() + node.text.size();
      if (gw::wire::detail::read_number(node.text.data(), end, value) == end) return value;
    } else if (node.kind == json_kind::string) {
      if (node.text == "inf") return infinity;
      if (node.text == "-inf") return -infinity;
      if (node.text == "nan") return nan_value;
      return label(node.text);
    }
    refuse(key_, "a number is expected" + (node.text.empty() ? "" : ", not '" + std::string(node.text) + "'"));
  }
  // Texts are labels of groups and pairs: the same text is the same number.
  double label(std::string_view text) {
    for (std::size_t i = 0; i < labels_.size(); ++i)
      if (labels_[i] == text) return static_cast<double>(i);
    labels_.emplace_back(text);
    return static_cast<double>(labels_.size() - 1);
  }

  const json_document& document_;
  std::string_view key_;
  std::vector<std::string> labels_;
};

std::vector<double> flat(std::string_view key, const nested& given) {
  if (given.depth != 1 || !given.members.empty()) refuse(key, "one number a row is expected: a flat list");
  return given.numbers;
}
rows_of<double> table_of(std::string_view key, const nested& given) {
  rows_of<double> rows;
  if (given.depth != 2) refuse(key, "one list of numbers a row is expected");
  for (const nested& row : given.members) rows.push_back(flat(key, row));
  return rows;
}
std::vector<rows_of<double>> cube_of(std::string_view key, const nested& given) {
  std::vector<rows_of<double>> rows;
  if (given.depth != 3) refuse(key, "a list of K numbers a token, tokens in lists of rows is expected");
  for (const nested& row : given.members) rows.push_back(table_of(key, row));
  return rows;
}

class filler {
 public:
  explicit filler(read_batch_result& result) : to_(result.table), result_(result) {}

  void take(std::string_view key, const nested& given) {
    batch_table& t = to_;
    if (key == "group" || key == "groups") {
      t.group = whole<long>(key, flat(key, given));
    } else if (key == "pair" || key == "pairs") {
      take_pairs(key, given);
    } else if (key == "chosen") {
      t.chosen = whole<int>(key, flat(key, given));
    } else if (key == "tokens") {
      for (const auto& row : table_of(key, given)) t.tokens.push_back(whole<int>(key, row));
    } else if (key == "prompt" || key == "prompts") {
      t.sequence["prompt_id"] = flat(key, given);
    } else if (key == "micro_batch" && given.depth == 0) {
      micro_batch_ = given.value;
    } else if (key == "adv" || key == "advantage" || key == "advantages") {
      if (given.depth == 2)
        t.token["token_advantage"] = table_of(key, given);
      else
        t.sequence["advantage"] = flat(key, given);
    } else {
      take_field(key, given);
    }
  }

  // What has been read, against each other.
  void finish() {
    batch_table& t = to_;
    std::string_view first;
    const auto rows = [&](std::string_view field, std::size_t n) {
      if (first.empty()) {
        first = field;
        t.lengths.resize(n);
      } else if (n != t.rows()) {
        refuse(key_of(field),
               std::to_string(n) + " rows, but \"" + std::string(key_of(first)) + "\" has " + std::to_string(t.rows()));
      }
    };
    std::string_view of_lengths;
    const auto tokens = [&](std::string_view field, std::size_t r, std::size_t n) {
      if (of_lengths.empty() || of_lengths == field) {
        of_lengths = field;
        t.lengths[r] = n;
      } else if (t.lengths[r] != n) {
        refuse(key_of(field), "row " + std::to_string(r) + " has " + std::to_string(n) + " tokens, but \"" +
                                  std::string(key_of(of_lengths)) + "\" has " + std::to_string(t.lengths[r]));
      }
    };
    for (const auto& [name, column] : t.token) {
      rows(name, column.size());
      for (std::size_t r = 0; r < column.size(); ++r) tokens(name, r, column[r].size());
    }
    for (const auto& [name, column] : t.candidate) {
      rows(name, column.size());
      for (std::size_t r = 0; r < column.size(); ++r) tokens(name, r, column[r].size());
    }
    for (const auto& [name, column] : t.sequence) rows(name, column.size());
    if (!t.group.empty()) rows("group", t.group.size());
    if (!t.pair.empty()) rows("pair", t.pair.size());
    if (!t.chosen.empty()) rows("chosen", t.chosen.size());
    if (of_lengths.empty()) {  // no column per token: one token a row
      t.lengths.assign(t.rows(), 1);
    }
    if (!t.tokens.empty()) {
      rows("tokens", t.tokens.size());
      for (std::size_t r = 0; r < t.rows(); ++r) {
        if (t.tokens[r].size() == t.lengths[r] + 1) t.tokens[r].erase(t.tokens[r].begin());  // with the first input
        if (t.tokens[r].size() != t.lengths[r])
          refuse("tokens", "row " + std::to_string(r) + " has " + std::to_string(t.tokens[r].size()) + " ids for " +
                               std::to_string(t.lengths[r]) + " targets");
      }
    }
    for (const auto& [name, column] : t.candidate)
      for (std::size_t r = 0; r < column.size(); ++r)
        for (const auto& at : column[r])
          if (at.size() != t.candidates())
            refuse(key_of(name), "row " + std::to_string(r) + " has tokens with " + std::to_string(at.size()) +
                                     " candidates and others with " + std::to_string(t.candidates()));
    if (t.sequence.count("advantage") && !t.token.count("token_advantage")) {
      auto& each = t.token["token_advantage"];
      for (std::size_t r = 0; r < t.rows(); ++r) each.emplace_back(t.lengths[r], t.sequence["advantage"][r]);
    }
    if (micro_batch_ > 0) {
      auto& column = t.sequence["micro_batch"];
      for (std::size_t r = 0; r < t.rows(); ++r)
        column.push_back(static_cast<double>(r / static_cast<std::size_t>(micro_batch_)));
    }
  }

 private:
  template <class N>
  static std::vector<N> whole(std::string_view key, const std::vector<double>& values) {
    std::vector<N> result;
    for (double value : values) {
      if (!(value >= -2147483648.0 && value <= 2147483647.0) || value != static_cast<double>(static_cast<N>(value)))
        refuse(key, "whole numbers or labels are expected");
      result.push_back(static_cast<N>(value));
    }
    return result;
  }

  // A label a row, or [[chosen row, rejected row], …].
  void take_pairs(std::string_view key, const nested& given) {
    if (given.depth == 1) {
      to_.pair = whole<long>(key, flat(key, given));
      return;
    }
    const auto pairs = table_of(key, given);
    to_.pair.assign(2 * pairs.size(), -1);
    to_.chosen.assign(2 * pairs.size(), 0);
    for (std::size_t p = 0; p < pairs.size(); ++p) {
      const auto rows = whole<long>(key, pairs[p]);
      if (rows.size() != 2) refuse(key, "a pair is two rows, [chosen, rejected]");
      for (std::size_t i = 0; i < 2; ++i) {
        const auto r = static_cast<std::size_t>(rows[i]);
        if (rows[i] < 0 || r >= to_.pair.size() || to_.pair[r] != -1)
          refuse(key, "row " + std::to_string(rows[i]) + " is no row, or is in two pairs");
        to_.pair[r] = static_cast<long>(p);
        to_.chosen[r] = i == 0;
      }
    }
  }

  void take_field(std::string_view key, const nested& given) {
    std::string_view field;
    for (const gw::field_info* each : known_fields())
      if (key == each->name || (key_of(each->name) == key && field.empty())) field = each->name;
    if (key == "sampler") field = "sampler_logprobs";
    if (given.depth == 3 && field == "teacher_logprobs") field = "candidate_teacher_logprobs";
    if (given.depth == 3 && field == "ref_logprobs") field = "candidate_ref_logprobs";
    const gw::field_info* info = nullptr;
    for (const gw::field_info* each : known_fields())
      if (field == each->name) info = each;
    if (!info) {
      result_.ignored.emplace_back(key);
      return;
    }
    const std::string name(field);
    if (info->level == gw::extent::candidate)
      to_.candidate[name] = cube_of(key, given);
    else if (info->level == gw::extent::token)
      to_.token[name] = table_of(key, given);
    else
      to_.sequence[name] = flat(key, given);
  }

  batch_table& to_;
  read_batch_result& result_;
  double micro_batch_ = 0;
};

}  // namespace

read_batch_result read_batch(const std::string& given, bool for_estimator) {
  const std::string text = standard_json(given);
  const json_document document(text);
  const json_node* from = &document.root();
  if (from->kind != json_kind::object) throw gw::error(gw::errc::decode, "a batch file is a JSON object");
  for (const char* member : {for_estimator ? "advantages" : "inputs", "inputs"})
    if (const json_node* found = document.find(*from, member); found && found->kind == json_kind::object) {
      from = found;
      break;
    }
  read_batch_result result;
  filler fill(result);
  for (const json_node* each = document.first(*from); each; each = document.next(*each)) {
    if (each->kind == json_kind::null) continue;
    if (each->kind == json_kind::object || (each->kind == json_kind::string)) {
      result.ignored.emplace_back(each->key);
      continue;
    }
    fill.take(each->key, reader(document, each->key).read(*each));
  }
  fill.finish();
  return result;
}

std::string read_file(const std::string& path) {
  std::ifstream file;
  if (path != "-") file.open(path, std::ios::binary);
  std::istream& from = path == "-" ? std::cin : file;
  if (!from) throw gw::error(gw::errc::config, "cannot read " + path);
  return {std::istreambuf_iterator<char>(from), {}};
}

}  // namespace catalogue
