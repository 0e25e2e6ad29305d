// SPDX-License-Identifier: Apache-2.0
// A part of a formula::tree as text, in the words of the language: text(tree, node) is what a user could have written.
//
//   exp(logprobs - old_logprobs)        mean_over_tokens(0.04 * kl - gain)        where(advantage < 0, a, b)
//
// A let is its name. Words that only derivatives have are in symbols.hpp.
#pragma once

#include <charconv>
#include <gradwire/gradient/formula_call.hpp>
#include <string>

namespace gradwire::inline v0 {
namespace formula {

// The shortest decimal that reads back as the same double; of either zero "0".
inline std::string number_text(double x) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, x == 0 ? 0.0 : x).ptr;
  return {digits, end};
}

// The derivative of a user's function by operand number `value`: a node that only derivatives have.
inline bool is_slope(const tree_node& n) { return n.is(op_code::own) && !n.name.empty(); }

// `names`: one a node, empty where it has none; what has a name is written as it.
class text_writer {
 public:
  explicit text_writer(const tree& formula, const std::vector<std::string>* names = nullptr)
      : tree_(formula), names_(names) {}
  std::string operator()(int i) const { return write(i).text; }
  std::string definition(int i) const { return spell(i).text; }  // of what has a name

 private:
  enum level : int { any, logical_or, logical_and, comparison, sum, product, sign, whole };
  struct piece {
    std::string text;
    level binds = whole;  // how tightly what it is made of holds together
  };

  std::string at(int i, level needed) const {
    piece p = write(i);
    return p.binds >= needed ? p.text : "(" + p.text + ")";
  }
  std::string apply(std::string_view name, const int* operands, int count) const {
    std::string result(name);
    for (int i = 0; i < count; ++i) result.append(i == 0 ? "(" : ", ").append(write(operands[i]).text);
    return result += ')';
  }
  std::string apply(std::string_view name, std::initializer_list<int> operands) const {
    return apply(name, operands.begin(), static_cast<int>(operands.size()));
  }
  piece infix(const tree_node& n, std::string_view operation, level of, bool associates = true) const {
    std::string result = at(n.operand[0], of);
    result.append(operation);
    return {result + at(n.operand[1], associates ? of : static_cast<level>(of + 1)), of};
  }
  piece compare(const tree_node& n, std::string_view forward, std::string_view backward) const {
    const bool turned = tree_[n.operand[0]].kind == node_kind::constant;
    const int left = n.operand[turned], right = n.operand[!turned];
    return {at(left, sum) + std::string(turned ? backward : forward) + at(right, sum), comparison};
  }

  bool named(int i) const { return names_ && !(*names_)[static_cast<std::size_t>(i)].empty(); }
  piece write(int i) const {
    if (!named(i)) i = tree_reader(tree_).shown(i);
    if (named(i)) return {(*names_)[static_cast<std::size_t>(i)]};
    return spell(i);
  }
  piece spell(int i) const {
    if (const int other = tree_reader(tree_).shown(i); other != i) return write(other);
    const tree_node& n = tree_[i];
    if (const call c = tree_reader(tree_).read(i); !c.name.empty()) return {apply(c.name, c.operand, c.operands)};
    switch (n.kind) {
      case node_kind::constant:
        return {number_text(n.value), n.value < 0 ? sign : whole};
      case node_kind::field:
        return {std::string(n.name)};
      case node_kind::shape:
        return {std::string(name_of(n.shape))};
      default:
        return operation(n);
    }
  }
  piece operation(const tree_node& n) const {
    const int a = n.operand[0], b = n.operand[1];
    switch (n.op->code) {
      case op_code::add:
        return infix(n, " + ", sum);
      case op_code::subtract:
        return infix(n, " - ", sum, false);
      case op_code::multiply:
        if (tree_reader(tree_).is_number(a, -1)) return {"-" + at(b, product), product};
        return infix(n, " * ", product, tree_[b].is(op_code::multiply));
      case op_code::divide:
        return infix(n, " / ", product, false);
      case op_code::negate:
        return {"-" + at(a, product), product};
      case op_code::less:
        return compare(n, " < ", " > ");
      case op_code::less_equal:
        return compare(n, " <= ", " >= ");
      case op_code::equal:
        return compare(n, " == ", " == ");
      case op_code::logical_and:
        return infix(n, " && ", logical_and);
      case op_code::logical_or:
        return infix(n, " || ", logical_or);
      case op_code::logical_not:
        return {"!" + at(a, whole), sign};
      case op_code::let:
        return {std::string(n.name)};
      case op_code::minimum:
        return {apply("min", {a, b})};
      case op_code::maximum:
        return {apply("max", {a, b})};
      case op_code::straight_through:
        return {apply("value_of", {a}) + apply(".gradient_of", {b})};
      case op_code::k1:  // as they are written, with the policy first
        if (tree_[a].is(op_code::subtract)) return {apply("k1", {tree_[a].operand[0], tree_[a].operand[1]})};
        return write(a);
      case op_code::k3:
        if (tree_[a].is(op_code::subtract)) return {apply("k3", {tree_[a].operand[1], tree_[a].operand[0]})};
        return {apply("k3", {a})};
      default:
        break;
    }
    std::string name(n.op->name);
    if (is_slope(n)) name += n.op->arity == 1 ? std::string("_slope") : "_slope_" + number_text(n.value + 1);
    return {apply(name, n.operand, n.operands)};
  }

  const tree& tree_;
  const std::vector<std::string>* names_;
};

inline std::string text(const tree& formula, int node) { return text_writer(formula)(node); }

}  // namespace formula
}  // namespace gradwire::inline v0
