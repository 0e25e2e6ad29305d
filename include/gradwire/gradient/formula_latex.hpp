// SPDX-License-Identifier: Apache-2.0
// A part of a formula::tree as LaTeX: sums with their ranges, means as quotients, logprobs as ℓ, advantages as A.
#pragma once

#include <gradwire/gradient/explain_words.hpp>
#include <gradwire/gradient/formula_listing.hpp>

namespace gradwire::inline v0 {
namespace formula {

class latex_writer {
 public:
  latex_writer(const tree& formula, const std::vector<std::string>& names) : tree_(formula), names_(names) {}
  std::string operator()(int i) const { return write(i).text; }
  std::string definition(int i) const { return spell(i).text; }
  const std::vector<std::string>& names() const { return names_; }

  std::string field(std::string_view name) const {
    for (const word_meaning& each : field_meanings)
      if (each.word == name && !each.latex.empty()) return std::string(each.latex);
    return word(name);
  }
  // "ratio", "x1", "L"
  std::string name(std::string_view text) const {
    if (text.size() == 1) return std::string(text);
    if (text.size() <= 3 && (text[0] == 'x' || text[0] == 'g') && text[1] >= '0' && text[1] <= '9')
      return std::string(text.substr(0, 1)) + "_{" + std::string(text.substr(1)) + "}";
    return word(text);
  }

 private:
  enum level : int { any, comparison, sum, product, whole };
  struct piece {
    std::string text;
    level binds = whole;
  };

  static std::string word(std::string_view text) {
    std::string result = "\\mathrm{";
    for (const char c : text)
      result.append(c == '_' ? "\\_" : c == '<' ? "\\langle " : c == '>' ? "\\rangle " : std::string(1, c));
    return result + "}";
  }
  static std::string bracket(const std::string& x) { return "\\left(" + x + "\\right)"; }
  std::string at(int i, level needed) const {
    const piece p = write(i);
    return p.binds >= needed ? p.text : bracket(p.text);
  }
  std::string apply(const std::string& function, const int* operands, int count) const {
    std::string inside;
    for (int i = 0; i < count; ++i) inside += (i ? ",\\, " : "") + write(operands[i]).text;
    return function + bracket(inside);
  }

  piece write(int i) const {
    if (names_[static_cast<std::size_t>(i)].empty()) i = tree_reader(tree_).shown(i);
    const std::string& given = names_[static_cast<std::size_t>(i)];
    return given.empty() ? spell(i) : piece{name(given)};
  }
  piece spell(int i) const {
    if (const int other = tree_reader(tree_).shown(i); other != i) return write(other);
    const tree_node& n = tree_[i];
    if (const call c = tree_reader(tree_).read(i); !c.name.empty()) return reduction(c);
    switch (n.kind) {
      case node_kind::constant:
        return number(n.value);
      case node_kind::field:
        return {field(n.name)};
      case node_kind::shape:
        return {shape(n.shape)};
      default:
        return operation(n);
    }
  }
  static piece number(double x) {
    std::string text = number_text(x);
    if (text == "-inf") return {"-\\infty", sum};
    if (text == "inf") return {"\\infty"};
    if (const std::size_t e = text.find('e'); e != std::string::npos) {  // 1e-08 is 1·10^{-8}
      std::size_t digits = e + 2;
      while (text[digits] == '0') ++digits;
      const std::string power = (text[e + 1] == '-' ? "-" : "") + text.substr(digits);
      text = text.substr(0, e) + " \\cdot 10^{" + power + "}";
    }
    return {text, x < 0 ? sum : whole};
  }
  static std::string shape(shape_value what) {
    for (const word_meaning& each : shape_meanings)
      if (each.word == name_of(what)) return std::string(each.latex);
    return {};
  }

  piece reduction(const call& c) const {
    struct range {
      std::string_view word, before, of_tokens{};  // another where what is summed up comes from tokens
    };
    static constexpr range ranges[] = {
        {"sum_over_candidates", "\\sum_k "},
        {"sum_over_tokens", "\\sum_t w\\,"},
        {"sum_over_tokens_unweighted", "\\sum_{t:\\,w \\ne 0} "},
        {"sum_over_positions", "\\sum_{t\\ \\mathrm{(all)}} "},
        {"mean_over_tokens", "\\frac{1}{\\sum_t w}\\sum_t w\\,"},
        {"mean_over_tokens_by_count", "\\frac{1}{\\#_t\\{w \\ne 0\\}}\\sum_t w\\,"},
        {"sum_over_all_tokens", "\\sum_{i,t} w\\,"},
        {"mean_over_all_tokens", "\\frac{1}{\\sum_{i,t} w}\\sum_{i,t} w\\,"},
        {"mean_over_all_tokens_by_count", "\\frac{1}{\\#_{i,t}\\{w \\ne 0\\}}\\sum_{i,t} w\\,"},
        {"sum_over_sequences", "\\sum_i "},
        {"mean_over_sequences", "\\frac{1}{B}\\sum_i ", "\\frac{1}{B_w}\\sum_i "},
        {"mean_over_sequences<all_masked::counts>", "\\frac{1}{B}\\sum_i "},
        {"sum_over_group", "\\sum_{i \\in g} "},
        {"mean_over_group", "\\frac{1}{G}\\sum_{i \\in g} ", "\\frac{1}{G_w}\\sum_{i \\in g} "},
        {"sum_over_groups", "\\sum_g "},
        {"mean_over_groups", "\\frac{1}{P}\\sum_g ", "\\frac{1}{P_w}\\sum_g "},
        {"mean_over_pairs", "\\frac{1}{P}\\sum_{\\mathrm{pairs}} ", "\\frac{1}{P_w}\\sum_{\\mathrm{pairs}} "},
    };
    if (c.operands == 1) {
      for (const range& each : ranges)
        if (each.word == c.name)
          return {
              std::string(tree_[c.operand[0]].from_tokens && !each.of_tokens.empty() ? each.of_tokens : each.before) +
                  at(c.operand[0], product),
              product};
      if (c.name == "chosen" || c.name == "rejected")
        return {"\\left[" + write(c.operand[0]).text + "\\right]_{\\mathrm{" + std::string(c.name) + "}}"};
    }
    return {apply(word(c.name), c.operand, c.operands)};
  }

  piece infix(const tree_node& n, std::string_view sign, level of, level right) const {
    return {at(n.operand[0], of).append(sign).append(at(n.operand[1], right)), of};
  }
  piece operation(const tree_node& n) const {
    const int a = n.operand[0], b = n.operand[1], c = n.operand[2];
    const tree_reader read(tree_);
    switch (n.op->code) {
      case op_code::add:
        return infix(n, " + ", sum, sum);
      case op_code::subtract:
        return infix(n, " - ", sum, product);
      case op_code::multiply:
        if (read.is_number(a, -1)) return {"-" + at(b, product), sum};
        return infix(n, " \\, ", product, product);
      case op_code::divide:
        return quotient(a, b);
      case op_code::divide_or_zero:
        return {"\\frac{" + write(a).text + "}{" + write(b).text + "}"};
      case op_code::negate:
        return {"-" + at(a, product), sum};
      case op_code::less:
        if (read.is_constant(a)) return {at(b, sum) + " > " + at(a, sum), comparison};
        return infix(n, " < ", comparison, sum);
      case op_code::less_equal:
        if (read.is_constant(a)) return {at(b, sum) + " \\ge " + at(a, sum), comparison};
        return infix(n, " \\le ", comparison, sum);
      case op_code::equal:
        return infix(n, " = ", comparison, sum);
      case op_code::logical_and:
        return infix(n, " \\land ", any, any);
      case op_code::logical_or:
        return infix(n, " \\lor ", any, any);
      case op_code::logical_not:
        return {"\\lnot " + at(a, whole), product};
      case op_code::let:
        return {name(n.name)};
      case op_code::exp:
        return {"e^{" + write(a).text + "}"};
      case op_code::sqrt:
        return {"\\sqrt{" + write(a).text + "}"};
      case op_code::abs:
        return {"\\left|" + write(a).text + "\\right|"};
      case op_code::square:
        return {at(a, whole) + "^{2}"};
      case op_code::log:
        return {apply("\\log", n.operand, 1)};
      case op_code::sigmoid:
        return {apply("\\sigma", n.operand, 1)};
      case op_code::log_sigmoid:
        return {apply("\\log\\sigma", n.operand, 1)};
      case op_code::minimum:
        return {apply("\\min", n.operand, 2)};
      case op_code::maximum:
        return {apply("\\max", n.operand, 2)};
      case op_code::clamp:
        return {apply("\\mathrm{clip}", n.operand, 3)};
      case op_code::stop_gradient:
        return {apply("\\mathrm{sg}", n.operand, 1)};
      case op_code::straight_through:
        return {"\\left.\\left[" + write(a).text + "\\right]\\right|_{\\nabla := \\nabla " + bracket(write(b).text) +
                "}"};
      case op_code::expm1:
        return {"e^{" + write(a).text + "} - 1", sum};
      case op_code::k3: {
        const std::string d = write(a).text;
        return {"e^{" + d + "} - " + at(a, whole) + " - 1", sum};
      }
      case op_code::where:
        return choice(a, b, c);
      default:
        break;
    }
    std::string function = word(n.op->name);
    if (is_slope(n)) function += n.op->arity == 1 ? std::string("'") : "'_{" + number_text(n.value + 1) + "}";
    return {apply(function, n.operand, n.operands)};
  }
  // a / b / c is one fraction.
  piece quotient(int a, int b) const {
    std::string under = write(b).text;
    bool many = false;
    while (names_[static_cast<std::size_t>(a)].empty() && tree_[a].is(op_code::divide) &&
           tree_reader(tree_).read(a).name.empty()) {
      const int next = tree_[a].operand[1];
      under = at(next, product) + " \\, " + (many ? under : at(b, product));
      many = true;
      a = tree_[a].operand[0];
    }
    return {"\\frac{" + write(a).text + "}{" + under + "}"};
  }
  piece choice(int condition, int a, int b) const {
    const tree_reader read(tree_);
    const std::string c = write(condition).text;
    if (read.is_number(a, 1) && read.is_number(b, 0)) return {"\\mathbb{1}\\left[" + c + "\\right]"};
    if (read.is_number(a, 0) && read.is_number(b, 1)) return {"\\mathbb{1}\\left[" + opposite(condition) + "\\right]"};
    return {"\\left\\{\\begin{array}{ll}" + write(a).text + " & \\text{if } " + c + "\\\\ " + write(b).text +
            " & \\text{otherwise}\\end{array}\\right\\}"};
  }
  std::string opposite(int condition) const {
    const tree_node& n = tree_[condition];
    const bool named = !names_[static_cast<std::size_t>(condition)].empty();
    const auto sides = [&](const char* forward, const char* backward) {
      const bool turned = tree_[n.operand[0]].kind == node_kind::constant;
      return at(n.operand[turned], sum) + (turned ? backward : forward) + at(n.operand[!turned], sum);
    };
    if (!named && n.is(op_code::less)) return sides(" \\ge ", " \\le ");
    if (!named && n.is(op_code::less_equal)) return sides(" > ", " < ");
    if (!named && n.is(op_code::logical_or)) return opposite(n.operand[0]) + " \\land " + opposite(n.operand[1]);
    return "\\lnot \\left(" + write(condition).text + "\\right)";
  }

  const tree& tree_;
  const std::vector<std::string>& names_;
};

// Is the line the definition of a name, or a root that may be written as a name?
inline bool names_node(const formula_line& line, const latex_writer& latex) {
  return latex.names()[static_cast<std::size_t>(line.node)] == line.name;
}

}  // namespace formula
}  // namespace gradwire::inline v0
