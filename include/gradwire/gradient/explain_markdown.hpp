// SPDX-License-Identifier: Apache-2.0
// An explanation as Markdown with LaTeX: one section of a page on a loss.
#pragma once

#include <gradwire/gradient/explanation.hpp>
#include <gradwire/gradient/formula_latex.hpp>

namespace gradwire::inline v0 {
namespace formula {

inline void latex_lines(std::string& to, std::string_view title, const std::vector<formula_line>& lines,
                        const latex_writer& latex) {
  if (lines.empty()) return;
  to.append("\n### ").append(title).append("\n");
  for (const formula_line& line : lines) {
    std::string name = line.name.substr(0, 4) == "dL/d"
                           ? "\\frac{\\partial L}{\\partial " + latex.field(std::string_view(line.name).substr(4)) + "}"
                           : latex.name(line.name.substr(0, 7) == "metric " ? line.name.substr(7) : line.name);
    const std::string body = names_node(line, latex) ? latex.definition(line.node) : latex(line.node);
    to.append("\n```math\n").append(name).append(" = ").append(body).append("\n```\n");
  }
}

}  // namespace formula

inline std::string explanation::markdown() const {
  const formula::latex_writer latex(lines_.derived().formula, lines_.names());
  std::string result = "## " + (options_.name.empty() ? std::string("loss") : options_.name) + "\n";
  const auto table = [&](std::string_view title, std::string_view head, const std::vector<std::string>& rows) {
    if (rows.empty() && head.front() == '|') return;
    result.append("\n### ").append(title).append("\n\n").append(head).append("\n");
    for (const std::string& row : rows) result.append(row).append("\n");
  };
  const auto code = [](std::string_view x) {
    std::string inside;  // a bar would end the table's cell
    for (const char c : x) inside.append(c == '|' ? "\\|" : std::string(1, c));
    return "`" + inside + "`";
  };
  formula::latex_lines(result, "Formula", lines_.formula(), latex);
  formula::latex_lines(result, "Derivative", lines_.derivative(), latex);
  std::vector<std::string> rows;
  for (const auto& p : options_.parameters)
    rows.push_back("| " + code(p.name) + " | " + p.value + " | " + p.comment + " |");
  table("Parameters", "| parameter | value | meaning |\n|---|---|---|", rows);
  rows.clear();
  for (const auto* field : fields())
    rows.push_back("| " + code(field->name) + " | $" + latex.field(field->name) + "$ | " + to_string(field->level) +
                   " | " + std::string(formula::meaning_of(field->name, formula::field_meanings)) + " |");
  table("Reads", "| column | symbol | extent | unit |\n|---|---|---|---|", rows);
  rows.clear();
  for (const auto& each : words(formula::reduction_meanings))
    rows.push_back("| " + code(each.word) + " | " + meaning(each) + " |");
  for (const auto& each : shapes())
    rows.push_back("| " + code(each.word) + " $" + std::string(each.latex) + "$ | " + std::string(each.meaning) + " |");
  table("Reductions and their divisors", "| word | meaning (w: weights) |\n|---|---|", rows);
  rows.clear();
  for (const auto& line : lines_.metrics())
    rows.push_back("| " + code(line.name.substr(0, 7) == "metric " ? line.name.substr(7) : line.name) + " | " +
                   code(line.text) + " |");
  table("Metrics", "| metric | value |\n|---|---|", rows);
  rows.clear();
  rows.push_back("- differentiated by " + code(options_.variable));
  if (options_.passes > 0) rows.push_back("- passes over the tokens: " + std::to_string(options_.passes));
  for (const auto& each : lines_.derived().formula.broken)
    rows.push_back("- breaks the rule *" + std::string(formula::name_of(each.which)) +
                   "*: " + std::string(each.reason));
  for (const std::string& note : notes_) rows.push_back("- " + note);
  table("Facts", rows.front(), {rows.begin() + 1, rows.end()});
  std::string program;
  formula::section(program, "formula", lines_.formula());
  formula::section(program, "derivative", lines_.derivative());
  result.append("\n### As text\n\n```text").append(program).append("```\n");
  return result;
}

}  // namespace gradwire::inline v0
