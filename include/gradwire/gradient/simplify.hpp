// SPDX-License-Identifier: Apache-2.0
// A formula::tree without what its numbers make idle: conditions between numbers are decided, a term times 0 is gone,
// min and max with an infinity are their operand. What remains is equal wherever its values are finite. For reading: a
// preset's switches are not part of the formula that they select.
#pragma once

#include <gradwire/gradient/symbols.hpp>

namespace gradwire::inline v0 {
namespace formula {

class simplifier {
 public:
  explicit simplifier(const tree& from) : from_(from), s_(to_) {}

  tree operator()() && {
    for (const tree_node& n : from_.nodes) at_.push_back(simple(n));
    to_.loss = at_[static_cast<std::size_t>(from_.loss)];
    for (const tree_metric& m : from_.metrics) to_.metrics.push_back({m.name, at_[static_cast<std::size_t>(m.node)]});
    to_.broken = from_.broken;
    return std::move(to_);
  }

 private:
  bool is(int i, double x) const { return s_.is(i, x); }
  bool is_number(int i) const { return to_[i].kind == node_kind::constant; }
  int number(double x) { return s_.constant(x); }

  int simple(tree_node n) {
    for (int j = 0; j < n.operands; ++j) n.operand[j] = at_[static_cast<std::size_t>(n.operand[j])];
    if (n.kind == node_kind::operation) {
      if (const int known = decided(n); known >= 0) return known;
      n.level = extent::batch;
      n.from_tokens = false;
    } else if (n.kind == node_kind::reduction) {
      if (is(n.operand[0], 0) && n.reduction < reduction_kind::within) return number(0);
      n.from_tokens = n.from == extent::token;
    }
    for (int j = 0; j < n.operands; ++j) {
      n.from_tokens = n.from_tokens || to_[n.operand[j]].from_tokens;
      if (n.kind == node_kind::operation) n.level = finest(n.level, to_[n.operand[j]].level);
    }
    return to_.add(n);
  }

  // What the node is instead, or -1.
  int decided(const tree_node& n) {
    const int a = n.operand[0], b = n.operand[1], c = n.operand[2];
    constexpr double infinity = __builtin_inf();
    bool numbers = n.op->code != op_code::let;
    for (int j = 0; j < n.operands; ++j) numbers = numbers && is_number(n.operand[j]);
    if (numbers) {
      double x[3] = {};
      for (int j = 0; j < n.operands; ++j) x[j] = to_[n.operand[j]].value;
      return number(n.op->value(x));
    }
    switch (n.op->code) {
      case op_code::add:
        return is(a, 0) ? b : is(b, 0) ? a : -1;
      case op_code::subtract:
        return is(b, 0) ? a : is(a, 0) ? to_.add(negated(b)) : -1;
      case op_code::multiply:
        if (is(a, 0) || is(b, 0)) return keeps_extent(a, b) ? number(0) : -1;
        return is(a, 1) ? b : is(b, 1) ? a : is(a, -1) ? to_.add(negated(b)) : -1;
      case op_code::divide:
      case op_code::divide_or_zero:
        return is(a, 0) ? number(0) : is(b, 1) ? a : -1;
      case op_code::less:
        return is(a, infinity) || is(b, -infinity) ? number(0) : is(b, infinity) || is(a, -infinity) ? number(1) : -1;
      case op_code::less_equal:
        return is(b, infinity) || is(a, -infinity) ? number(1) : -1;
      case op_code::logical_and:
        return is(a, 0) || is(b, 0) ? number(0) : is(a, 1) ? b : is(b, 1) ? a : -1;
      case op_code::logical_or:
        return is(a, 1) || is(b, 1) ? number(1) : is(a, 0) ? b : is(b, 0) ? a : -1;
      case op_code::where:
        return is(a, 1) ? b : is(a, 0) ? c : b == c ? b : -1;
      case op_code::minimum:
        return is(b, infinity) ? a : is(a, infinity) ? b : -1;
      case op_code::maximum:
        return is(b, -infinity) ? a : is(a, -infinity) ? b : -1;
      case op_code::clamp:
        if (is(b, -infinity) && is(c, infinity)) return a;
        if (is(b, -infinity)) return s_.make<minimum_op, false, false>({a, c});
        return is(c, infinity) ? s_.make<maximum_op, false, false>({a, b}) : -1;
      default:
        return -1;
    }
  }
  // 0 · length + 1 says "one a sequence"; without the 0 · it would be one for the batch.
  bool keeps_extent(int a, int b) const { return to_[a].kind != node_kind::shape && to_[b].kind != node_kind::shape; }
  tree_node negated(int x) const {
    tree_node n{.kind = node_kind::operation, .level = to_[x].level, .from_tokens = to_[x].from_tokens};
    n.op = &op_functions<negate_op, false>::info;
    n.operands = 1;
    n.operand[0] = x;
    return n;
  }

  const tree& from_;
  tree to_;
  symbols s_;
  std::vector<int> at_;
};

inline tree simplified(const tree& formula) { return simplifier(formula)(); }

}  // namespace formula
}  // namespace gradwire::inline v0
