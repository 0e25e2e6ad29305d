// SPDX-License-Identifier: Apache-2.0
#include "pages.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gradwire/gradient/derivation.hpp>
#include <gradwire/gradient/explain.hpp>
#include <gradwire/gradient/report.hpp>
#include <map>
#include <sstream>
#include <vector>

#include "curve.hpp"
#include "print.hpp"

namespace catalogue {
namespace {

namespace files = std::filesystem;

void write(const files::path& to, const std::string& text) {
  files::create_directories(to.parent_path());
  std::ostringstream old;
  if (std::ifstream file(to, std::ios::binary); file) old << file.rdbuf();
  if (old.str() == text) return;
  std::ofstream file(to, std::ios::binary);
  file << text;
  if (!file.flush()) throw gradwire::error(gradwire::errc::config, "cannot write " + to.string());
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
  return text;
}
std::string cell(const std::string& text) { return replaced(text, "|", "\\|"); }

// trl/dpo of gradwire/loss/trl/dpo.hpp
std::string page_of(const row& of) {
  std::string path(of.header);
  path.erase(0, path.find('/', path.find('/') + 1) + 1);
  path.erase(path.size() - 4);
  return path.find('/') == std::string::npos ? "paper/" + path : path;
}

std::string parameters_text(const row& of) {
  std::string text;
  for (const parameter& p : of.parameters) {
    if (!text.empty()) text += ", ";
    text += std::string(p.name) + " = " + default_text(p);
    if (p.follows.empty() && (p.what == kind::offset || p.what == kind::bound))
      text += std::string(" (") + to_string(p.what) + ")";
  }
  return text;
}

// What a gradient is divided by on its way to the loss, read off the formula.
class divisors {
 public:
  explicit divisors(const preset_row& of)
      : tree_(of.reflect(defaults(of))),
        active_(gradwire::formula::carries_gradient(tree_, tree_.find_field(of.variable->name))),
        seen_(tree_.nodes.size(), false) {
    walk(tree_.loss);
  }
  std::string text() const {
    std::string all;
    for (const auto& each : found_) all += (all.empty() ? "" : " · ") + each;
    return all.empty() ? "1" : all;
  }

 private:
  using node_kind = gradwire::formula::node_kind;
  using op_code = gradwire::formula::op_code;
  static std::size_t at(int node) { return static_cast<std::size_t>(node); }

  void walk(int node) {
    if (seen_[at(node)]) return;
    seen_[at(node)] = true;
    const auto& n = tree_[node];
    if (!active_[at(node)]) return factor(node);
    if (n.is(op_code::divide) || n.is(op_code::divide_or_zero)) note(n.operand[1]);
    for (int i = 0; i < n.operands; ++i) walk(n.operand[i]);
  }
  // A factor beside the gradient's path counts where it is divided by the batch's shape: a token's share.
  void factor(int node) {
    const auto& n = tree_[node];
    const bool quotient = n.is(op_code::divide) || n.is(op_code::divide_or_zero);
    if (quotient && is_shape(n.operand[1])) note(n.operand[1]);
    if (quotient || n.is(op_code::negate) || n.is(op_code::let)) factor(n.operand[0]);
    if (n.is(op_code::multiply)) factor(n.operand[0]), factor(n.operand[1]);
  }
  bool is_shape(int node) const {
    const auto& n = tree_[node];
    if (n.kind == node_kind::field) return n.name == "micro_batch" || n.name == "prompt_id" || n.name == "weights";
    for (int i = 0; i < n.operands; ++i)
      if (!is_shape(n.operand[i])) return false;
    return true;
  }
  void note(int divisor) {
    std::vector<std::string> parts;
    collect(divisor, parts);
    std::string all;
    for (const auto& each : parts) all += (all.empty() ? "" : ", ") + each;
    if (!all.empty() && std::find(found_.begin(), found_.end(), all) == found_.end()) found_.push_back(all);
  }
  void collect(int node, std::vector<std::string>& parts) const {
    const auto& n = tree_[node];
    std::string one;
    if (n.kind == node_kind::shape) {
      one = words(n.shape);
    } else if (n.is(gradwire::formula::reduction_kind::within)) {
      const std::string part = tree_[n.operand[1]].name == "prompt_id" ? "prompt" : "micro-batch";
      one = contains(n.operand[0], gradwire::shape_value::weight_sum)     ? "Σw of the " + part
            : contains(n.operand[0], gradwire::shape_value::weight_count) ? "tokens of the " + part
                                                                          : part + (part == "prompt" ? "s" : "es");
    }
    if (one.empty()) {
      for (int i = 0; i < n.operands; ++i) collect(n.operand[i], parts);
    } else if (std::find(parts.begin(), parts.end(), one) == parts.end()) {
      parts.push_back(one);
    }
  }
  bool contains(int node, gradwire::shape_value what) const {
    const auto& n = tree_[node];
    if (n.kind == node_kind::shape && n.shape == what) return true;
    for (int i = 0; i < n.operands; ++i)
      if (contains(n.operand[i], what)) return true;
    return false;
  }
  static std::string words(gradwire::shape_value shape) {
    using gradwire::shape_value;
    switch (shape) {
      case shape_value::weight_sum:
        return "Σw of the sequence";
      case shape_value::weight_count:
        return "tokens of the sequence";
      case shape_value::sequence_length:
        return "length of the sequence";
      case shape_value::group_size:
        return "sequences of the group";
      case shape_value::counted_size:
        return "unmasked sequences of the group";
      case shape_value::total_weight:
        return "Σw of the batch";
      case shape_value::total_count:
        return "tokens of the batch";
      case shape_value::sequence_count:
        return "sequences";
      case shape_value::counted_sequences:
        return "unmasked sequences";
      case shape_value::group_count:
        return "groups";
      case shape_value::counted_groups:
        return "unmasked groups";
      default:
        return "";
    }
  }

  gradwire::formula::tree tree_;
  std::vector<bool> active_, seen_;
  std::vector<std::string> found_;
};

std::string divisor_of(const preset_row& of) { return divisors(of).text(); }

std::string code_block(std::string_view text) { return "```text\n" + std::string(text) + "\n```\n"; }

// The comment at the head of the header without its first paragraph: formula, what is read.
std::string body_of(std::string_view head) {
  const std::size_t at = head.find("\n\n");
  std::string body(at == std::string_view::npos ? "" : head.substr(at + 2));
  while (!body.empty() && body.back() == '\n') body.pop_back();
  return body;
}

std::string page(const std::vector<const preset_row*>& family, const std::string& picture) {
  const preset_row& first = *family[0];
  const auto title = title_of(first);
  const auto values = defaults(first);
  const auto explained =
      gradwire::explain(first.reflect(values), {std::string(first.name), first.variable->name, first.passes, {}});
  std::string text = "# " + std::string(first.name) + "\n\n" + title.title + "\n\n";
  if (!title.source.empty()) text += "Source: " + title.source + ". ";
  text += "Header: `" + std::string(first.header) + "`.\n\n" + code_block(body_of(first.head)) + "\n";
  text += "![" + std::string(first.name) + " of one token](" + picture + ")\n\n";
  if (!first.parameters.empty()) {
    text += "| parameter | default | meaning |\n|---|---|---|\n";
    for (const parameter& p : first.parameters) {
      text += "| `" + std::string(p.name) + "` | " + default_text(p);
      if (p.what == kind::offset || p.what == kind::bound) text += std::string(" (") + to_string(p.what) + ")";
      text += " | " + cell(std::string(p.comment)) + " |\n";
    }
    text += "\n";
  }
  std::string lines;
  for (const auto* part : {&explained.lines().formula(), &explained.lines().derivative()}) {
    lines += lines.empty() ? "formula\n" : "\nderivative\n";
    for (const auto& line : *part) lines += "  " + line.name + " = " + line.text + "\n";
  }
  lines.pop_back();
  if (lines.size() > 1900)
    lines = lines.substr(0, lines.find("\nderivative")) + "\nderivative: " + std::to_string(lines.size()) +
            " characters; evaluate_loss --loss " + std::string(first.name) + " --explain";
  text += code_block(lines) + "\n";
  text += "Differentiated by `" + std::string(first.variable->name) + "`, " + std::to_string(first.passes) +
          (first.passes == 1 ? " pass" : " passes") + " over the tokens; divided by: " + divisor_of(first) + ".\n";
  for (const auto& b : explained.lines().derived().formula.broken)
    text += "\nBreaks the rule *" + std::string(gradwire::formula::name_of(b.which)) + "*: " + std::string(b.reason) +
            ".\n";
  for (const auto& note : explained.notes()) text += "\n- " + note + "\n";
  if (family.size() > 1) {
    text += "\n| variant | divided by | |\n|---|---|---|\n";
    for (std::size_t i = 1; i < family.size(); ++i)
      text += "| `" + std::string(family[i]->name) + "` | " + divisor_of(*family[i]) + " | " +
              cell(one_line(family[i]->description == first.description ? "" : family[i]->description)) + " |\n";
  }
  return text;
}

}  // namespace

void write_pages(const std::string& folder) {
  std::vector<files::path> written;
  const auto put = [&](const files::path& to, const std::string& text) {
    write(to, text);
    written.push_back(to.lexically_normal());
  };
  std::map<std::string, std::vector<const preset_row*>> families;
  for (const preset_row& each : presets()) families[page_of(each)].push_back(&each);
  std::string index =
      "# All losses\n\nGenerated from the headers by `evaluate_loss --write-docs docs/losses`. A parameter is an "
      "offset "
      "(distance from 1), a bound (the threshold itself) or a number; the divisors are those through which the "
      "gradient "
      "goes, from the outside in (1: a sum).\n\n";
  std::string last;
  for (const auto& [name, family] : families) {
    const std::string source = name.substr(0, name.find('/'));
    const files::path base = files::path(folder) / name;
    const std::string picture = base.filename().string() + ".svg";
    const curve_axis axis = ratio_name(*family[0]).empty() ? curve_axis::logprob : curve_axis::ratio;
    put(base.string() + ".svg", curve_svg(curve_of(*family[0], defaults(*family[0]), axis)));
    put(base.string() + ".md", page(family, picture));
    if (source != last)
      index += "\n## " + source + "\n\n| loss | divided by | parameters | source |\n|---|---|---|---|\n";
    last = source;
    for (const preset_row* each : family)
      index += "| [" + std::string(each->name) + "](" + name + ".md) | " + divisor_of(*each) + " | " +
               cell(parameters_text(*each)) + " | " + cell(title_of(*each).source) + " |\n";
  }
  index += "\n## Advantage estimators\n\n| estimator | parameters | | source |\n|---|---|---|---|\n";
  for (const estimator_row& each : estimators()) {
    const auto title = title_of(each);
    index += "| `" + std::string(each.name) + "` | " + cell(parameters_text(each)) + " | " +
             cell(each.description.empty() ? title.title : one_line(each.description)) + " | " + cell(title.source) +
             " |\n";
  }
  put(files::path(folder) / "README.md", index);
  for (const auto& entry : files::recursive_directory_iterator(folder)) {  // pages of headers that are gone
    const auto extension = entry.path().extension();
    const bool ours = extension == ".md" || extension == ".svg";
    if (entry.is_regular_file() && ours &&
        std::find(written.begin(), written.end(), entry.path().lexically_normal()) == written.end())
      files::remove(entry.path());
  }
}

}  // namespace catalogue
