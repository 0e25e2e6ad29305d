// SPDX-License-Identifier: Apache-2.0
// What the tools that look at a loss share: the place of a value, numbers as text, tables, and `<<` for every result
// that has `std::string text() const` and says `using report_tag = void`. Not part of an evaluation: only tools include
// it.
#pragma once

#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include <gradwire/datum/batch.hpp>

namespace gradwire::inline v0 {

// One value of the differentiated field.
struct token_place {
  std::int64_t datum = 0;       // index in the batch
  std::int64_t token = -1;      // position in the datum's targets; -1: the field has one value a sequence
  std::int64_t candidate = -1;  // of the K candidates; -1: the field has one value a token
  std::int64_t token_id = -1;   // the target, or the candidate
};

// Prints a result: std::cout << check_gradient(…). A template, so that nothing here needs <ostream>.
template <class Stream, class Report>
requires requires(Stream& to, const Report& what, const std::string& text) {
  typename Report::report_tag;
  to << text;
}
Stream& operator<<(Stream& to, const Report& what) {
  to << what.text();
  return to;
}

namespace detail {

// The shortest text that reads back as the same number: "0.1", "1e-05", "nan", "-inf".
inline std::string exact(double value) {
  if (value != value) return "nan";
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  return {digits, end};
}
inline std::string exact(float value) {
  if (value != value) return "nan";
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  return {digits, end};
}
// For eyes: six significant digits, and one zero.
inline std::string brief(double value, int digits = 6) {
  char text[40];
  __builtin_snprintf(text, sizeof text, "%.*g", digits, printable(value == 0 ? 0.0 : value));
  return text;
}
inline std::string whole(std::size_t value) { return std::to_string(value); }
inline std::string how_many(std::size_t n, std::string_view what) {
  std::string text = whole(n);
  text.append(" ").append(what);
  if (n != 1) text += 's';
  return text;
}

// "datum 3, token 7 (id 4711)"
inline std::string describe(const token_place& at) {
  std::string text = "datum " + std::to_string(at.datum);
  if (at.token >= 0) text += ", token " + std::to_string(at.token);
  if (at.candidate >= 0) text += ", candidate " + std::to_string(at.candidate);
  if (at.token_id >= 0) text += " (id " + std::to_string(at.token_id) + ")";
  return text;
}

// Rows of cells in columns that are as wide as they must be; cells are set to the right. Two blanks in front.
class text_table {
 public:
  explicit text_table(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  std::string text() const {
    std::vector<std::size_t> width(rows_[0].size(), 0);
    for (const auto& row : rows_)
      for (std::size_t i = 0; i < row.size(); ++i) width[i] = row[i].size() > width[i] ? row[i].size() : width[i];
    std::string all;
    for (const auto& row : rows_) {
      for (std::size_t i = 0; i < row.size(); ++i) all.append(2 + width[i] - row[i].size(), ' ').append(row[i]);
      all += '\n';
    }
    return all;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};
// The columns of a place, as far as places like this one have them.
inline std::vector<std::string> place_head(const token_place& like) {
  std::vector<std::string> head{"datum"};
  if (like.token >= 0) head.push_back("token");
  if (like.candidate >= 0) head.push_back("candidate");
  if (like.token >= 0) head.push_back("id");
  return head;
}
inline std::vector<std::string> place_cells(const token_place& at) {
  std::vector<std::string> cells{std::to_string(at.datum)};
  if (at.token >= 0) cells.push_back(std::to_string(at.token));
  if (at.candidate >= 0) cells.push_back(std::to_string(at.candidate));
  if (at.token >= 0) cells.push_back(std::to_string(at.token_id));
  return cells;
}

// Every value of a column per candidate, per token or per sequence, in the order datum, token, candidate: use(place,
// element), where element is its index in the column's storage.
template <class Batch, class Use>
void for_each_value(const Batch& data, extent level, Use&& use) {
  const layout& shape = data.shape();
  const bool candidates = level == extent::candidate;
  const std::size_t planes = candidates ? shape.candidates() : 1;
  const auto number = [](std::size_t n) { return static_cast<std::int64_t>(n); };
  for (std::size_t s = 0; s < shape.sequences(); ++s) {
    if (level == extent::sequence) {
      use(token_place{.datum = number(s)}, s);
      continue;
    }
    const auto ids = candidates ? data.candidate_tokens(s) : data.target_tokens(s);
    for (std::size_t t = 0; t < shape.length[s]; ++t)
      for (std::size_t k = 0; k < planes; ++k)
        use(token_place{number(s), number(t), candidates ? number(k) : -1, ids[t * planes + k]},
            k * shape.padded() + shape.offset[s] + t);
  }
}

}  // namespace detail
}  // namespace gradwire::inline v0
