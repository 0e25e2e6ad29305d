// SPDX-License-Identifier: Apache-2.0
// What `explain` found, and its text. The text is exact: the lines under `formula` and `derivative` can be read by a
// program, and say what the derivative is at every token.
#pragma once

#include <gradwire/gradient/explain_notes.hpp>
#include <gradwire/gradient/formula_listing.hpp>
#include <gradwire/gradient/report.hpp>
#include <gradwire/gradient/simplify.hpp>

namespace gradwire::inline v0 {

struct explained_parameter {
  std::string name, value, comment;  // "beta", "0.04", "weight of the KL to the reference, per nat"
};
struct explain_options {
  std::string name;      // of the loss
  std::string variable;  // field of the derivative; empty: logprobs, or what the loss reads of it
  int passes = 0;        // over the tokens; 0: not said
  std::vector<explained_parameter> parameters;  // what its members are set to
};

class explanation {
 public:
  using report_tag = void;
  explanation(const formula::tree& formula, explain_options options)
      : options_(std::move(options)),
        lines_(formula::derive(formula::simplified(formula), options_.variable)),
        notes_(formula::notes_on(formula::simplified(formula), options_.variable)) {}

  const explain_options& options() const { return options_; }
  const formula::listing& lines() const { return lines_; }  // .formula(), .derivative(), .metrics()
  const std::vector<std::string>& notes() const { return notes_; }

  std::string text() const;
  std::string markdown() const;

  // Words of the language that the lines use, with what they mean.
  std::vector<formula::word_meaning> words(std::span<const formula::word_meaning> of) const {
    std::vector<formula::word_meaning> result;
    for (const auto& each : of)
      if (uses(each.word)) result.push_back(each);
    return result;
  }
  bool uses(std::string_view word) const {
    for (const auto* lines : {&lines_.formula(), &lines_.metrics(), &lines_.derivative()})
      for (const auto& line : *lines)
        if (is_word(line.text, std::string(word) + "(")) return true;
    return false;
  }
  // What a reduction means, and over what its result is one value.
  std::string meaning(const formula::word_meaning& reduction) const {
    const auto& tree = lines_.derived().formula;
    for (int i = 0; i < tree.size(); ++i)
      if (formula::tree_reader(tree).read(i).name == reduction.word)
        return std::string(reduction.meaning) + "; " + to_string(tree[i].level);
    return std::string(reduction.meaning);
  }
  // The columns that the loss and its metrics read, weights included.
  std::vector<const formula::tree_node*> fields() const {
    std::vector<const formula::tree_node*> result;
    for (const auto& n : lines_.derived().formula.nodes)
      if (n.kind == formula::node_kind::field) result.push_back(&n);
    return result;
  }
  bool says(std::string_view part) const {
    for (const auto& line : lines_.derivative())
      if (line.text.find(part) != std::string::npos) return true;
    return false;
  }
  // Numbers of the batch's shape that the lines read.
  std::vector<formula::word_meaning> shapes() const {
    std::vector<formula::word_meaning> result;
    for (const auto& each : formula::shape_meanings)
      for (const auto* lines : {&lines_.formula(), &lines_.metrics(), &lines_.derivative()})
        for (const auto& line : *lines)
          if (is_word(line.text, each.word) && (result.empty() || result.back().word != each.word))
            result.push_back(each);
    return result;
  }

 private:
  static bool is_word(std::string_view text, std::string_view word) {
    for (std::size_t at = 0; (at = text.find(word, at)) != text.npos; ++at) {
      const std::size_t end = at + word.size();
      if ((at == 0 || !is_letter(text[at - 1])) && (word.back() == '(' || end == text.size() || !is_letter(text[end])))
        return true;
    }
    return false;
  }
  static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; }

  explain_options options_;
  formula::listing lines_;
  std::vector<std::string> notes_;
};

namespace formula {

// Breaks a long line where the fewest parentheses are open: before an operator, after a comma.
inline std::string wrapped(std::string_view line, std::size_t width, std::size_t indent) {
  std::string result;
  while (line.size() > width) {
    std::size_t best = 0;
    int depth = 0, lowest = 1000;
    for (std::size_t i = 1; i + 3 < line.size() && i < width; ++i) {
      depth += line[i] == '(' ? 1 : line[i] == ')' ? -1 : 0;
      if (line[i] != ' ' || i < width / 3) continue;
      const std::string_view next = line.substr(i + 1, 2);
      const bool product = next == "* " || next == "/ ";
      if (!product && next != "+ " && next != "- " && next != "||" && next != "&&" && line[i - 1] != ',') continue;
      const int rank = 2 * depth + product;
      if (rank <= lowest) best = i, lowest = rank;
    }
    if (best == 0) break;
    result.append(line.substr(0, best)).append("\n").append(indent, ' ');
    line.remove_prefix(best + 1);
  }
  return result.append(line);
}

inline void section(std::string& to, std::string_view title, const std::vector<formula_line>& lines) {
  if (lines.empty()) return;
  to.append("\n").append(title).append("\n");
  for (const formula_line& line : lines) {
    std::string level = to_string(line.level);
    level.resize(15, ' ');
    const std::string all = line.name + " = " + line.text;
    to.append("  ").append(level).append(wrapped(all, 96, 21)).append("\n");
  }
}
inline void section(std::string& to, std::string_view title,
                    const std::vector<std::pair<std::string, std::string>>& rows) {
  if (rows.empty()) return;
  std::size_t width = 0;
  for (const auto& row : rows) width = row.first.size() > width ? row.first.size() : width;
  to.append("\n").append(title).append("\n");
  for (const auto& [left, right] : rows)
    to.append("  ").append(left).append(width + 2 - left.size(), ' ').append(right).append("\n");
}

}  // namespace formula

inline std::string explanation::text() const {
  using rows = std::vector<std::pair<std::string, std::string>>;
  const auto& tree = lines_.derived().formula;
  std::string result = options_.name.empty() ? "loss" : options_.name;
  result += '\n';
  formula::section(result, "formula", lines_.formula());
  formula::section(result, "derivative", lines_.derivative());
  formula::section(result, "metrics", lines_.metrics());
  rows meanings;
  for (const auto& [word, meaning, latex] : words(formula::derivative_meanings))
    meanings.emplace_back(std::string(word) + (word == "unsorted_over_batch" ? "(x, y)" : "(x)"), meaning);
  if (says("weights *")) meanings.emplace_back("weights * x", "0 where weights = 0, whatever x is there");
  if (!shapes().empty()) meanings.emplace_back("x / n", "0 where n, one of the batch's numbers below, is 0");
  if (says("_slope"))
    meanings.emplace_back("f_slope(x)", "the derivative of the function f; f_slope_2(x, y) that by its second operand");
  formula::section(result, "in the derivative", meanings);
  rows read;
  for (const auto* field : fields()) {
    std::string level = to_string(field->level);
    level.resize(15, ' ');
    read.emplace_back(level + std::string(field->name), formula::meaning_of(field->name, formula::field_meanings));
  }
  formula::section(result, "reads", read);
  rows numbers;
  for (const auto& [word, meaning, latex] : shapes()) numbers.emplace_back(word, meaning);
  formula::section(result, "numbers of the batch", numbers);
  rows reductions;
  for (const auto& each : words(formula::reduction_meanings)) reductions.emplace_back(each.word, meaning(each));
  formula::section(result, "reductions (w: weights)", reductions);
  rows functions;
  for (const auto& [word, meaning, latex] : words(formula::function_meanings)) functions.emplace_back(word, meaning);
  formula::section(result, "functions", functions);
  rows parameters;
  for (const auto& p : options_.parameters) parameters.emplace_back(p.name + " = " + p.value, p.comment);
  formula::section(result, "parameters", parameters);
  rows facts;
  facts.emplace_back("differentiated by", options_.variable);
  if (options_.passes > 0) facts.emplace_back("passes over the tokens", std::to_string(options_.passes));
  for (const auto& each : tree.broken)
    facts.emplace_back("breaks " + std::string(formula::name_of(each.which)), each.reason);
  formula::section(result, "facts", facts);
  if (!notes_.empty()) result += "\nnotes\n";
  for (const std::string& note : notes_) result.append("  ").append(note).append("\n");
  return result;
}

}  // namespace gradwire::inline v0
