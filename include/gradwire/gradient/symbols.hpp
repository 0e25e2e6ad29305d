// SPDX-License-Identifier: Apache-2.0
// Arithmetic on nodes of a formula::tree that simplifies as it goes: 0 and 1 vanish, numbers are computed, equal terms
// and common factors are collected, and where(c, x, 0) + where(c, 0, y) is where(c, x, y).
//
// Words that only derivatives have: unmasked(x) is x where w ≠ 0 and 0 elsewhere; counted(x) is x of a sequence with
// any w ≠ 0 and 0 of others, counted_group(x) the same of a group, every(x) is x of all of them; if_chosen(x),
// if_rejected(x) are x for that sequence of a pair, 0 for the other; unsorted_over_batch(x, y) brings y back to where
// sort_over_batch(x) took x from; f_slope(x) is the derivative of a user's function f, f_slope_2(x, y) that by the
// second operand.
#pragma once

#include <gradwire/gradient/formula_call.hpp>

namespace gradwire::inline v0 {
namespace formula {

// clang-format off
inline constexpr op_info unmasked_word{.name = "unmasked"}, counted_word{.name = "counted"},
    counted_group_word{.name = "counted_group"}, every_word{.name = "every"},
    chosen_word{.name = "if_chosen"}, rejected_word{.name = "if_rejected"},
    unsorted_word{.name = "unsorted_over_batch", .arity = 2};
// clang-format on

// number · up[0] · up[1] … / down[0] / down[1] …
struct factors {
  double number = 1;
  std::vector<int> up, down;
};

class symbols {
 public:
  explicit symbols(tree& to) : tree_(to) {}

  int constant(double x) { return tree_.add({.value = x}); }
  bool is(int i, double x) const { return tree_reader(tree_).is_number(i, x); }

  // An operation of the library, as it is.
  template <class Op, bool... Truth>
  int make(std::initializer_list<int> operands) {
    return make(&op_functions<Op, Truth...>::info, operands);
  }
  int make(const op_info* op, std::initializer_list<int> operands) {
    tree_node n{.kind = node_kind::operation, .truth = op->truth, .detached = op->detached, .op = op};
    for (const int i : operands) {
      n.operand[n.operands++] = i;
      n.level = finest(n.level, tree_[i].level);
      n.from_tokens = n.from_tokens || tree_[i].from_tokens;
    }
    if (op == &unmasked_word) n.level = finest(n.level, extent::token);
    if (op == &counted_word || op == &chosen_word || op == &rejected_word) n.level = finest(n.level, extent::sequence);
    if (op == &counted_group_word) n.level = finest(n.level, extent::group);
    if (op == &counted_word || op == &counted_group_word) n.from_tokens = true;
    if (op == &every_word) n.from_tokens = false;
    return tree_.add(n);
  }

  // The derivative of a user's function by an operand.
  int own_slope(tree_node n, int which) {
    n.name = "slope";
    n.value = which;
    n.detached = false;
    return tree_.add(n);
  }

  int counted(extent of, int x) { return make(of == extent::group ? &counted_group_word : &counted_word, {x}); }
  int negate(int a) { return multiply(constant(-1), a); }
  int multiply(int a, int b) {
    factors p = split(a);
    const factors q = split(b);
    p.number *= q.number;
    p.up.insert(p.up.end(), q.up.begin(), q.up.end());
    p.down.insert(p.down.end(), q.down.begin(), q.down.end());
    return join(p);
  }
  int divide(int a, int b) {
    factors p = split(a);
    if (tree_[b].kind == node_kind::constant)
      p.number /= tree_[b].value;
    else
      p.down.push_back(b);
    return join(p);
  }
  int divide_or_zero(int a, int b) {
    if (tree_[b].kind == node_kind::shape || is(a, 0)) return divide(a, b);
    return make<divide_or_zero_op, false, false>({a, b});
  }
  int where(int condition, int a, int b) { return a == b ? a : make<where_op, true, false, false>({condition, a, b}); }
  int less(int a, int b) { return make<less_op, false, false>({a, b}); }
  int add(int a, int b) { return add({a, b}); }
  int add(const std::vector<int>& terms);

  static bool take_out(std::vector<int>& from, int f);  // once; false if it is not there
  // i = number · up / down. What the language writes as one call is one factor.
  factors split(int i) const {
    const tree_node& n = tree_[i];
    if (n.kind == node_kind::constant) return {n.value, {}, {}};
    factors p;
    if (!tree_reader(tree_).read(i).name.empty() || n.kind != node_kind::operation) return {1, {i}, {}};
    if (n.op->code == op_code::negate) {
      p = split(n.operand[0]);
      p.number = -p.number;
    } else if (n.op->code == op_code::multiply) {
      p = split(n.operand[0]);
      const factors q = split(n.operand[1]);
      p.number *= q.number;
      p.up.insert(p.up.end(), q.up.begin(), q.up.end());
      p.down.insert(p.down.end(), q.down.begin(), q.down.end());
    } else if (n.op->code == op_code::divide) {
      p = split(n.operand[0]);
      if (tree_[n.operand[1]].kind == node_kind::constant)
        p.number /= tree_[n.operand[1]].value;
      else
        p.down.push_back(n.operand[1]);
    } else {
      p.up.push_back(i);
    }
    return p;
  }
  int join(const factors& p) {
    if (p.number == 0) return constant(0);
    const double size = p.number < 0 ? -p.number : p.number;
    int result = size != 1 || p.up.empty() ? constant(p.up.empty() && p.down.empty() ? p.number : size) : -1;
    for (const int f : p.up) result = result < 0 ? f : make<multiply_op, false, false>({result, f});
    for (const int f : p.down) result = make<divide_op, false, false>({result, f});
    return p.number < 0 && !(p.up.empty() && p.down.empty()) ? make<negate_op, false>({result}) : result;
  }

 private:
  void flatten(int i, double sign, std::vector<factors>& terms) const;
  bool merge(factors& a, const factors& b);
  bool merge_cases(factors& a, const factors& b);
  static bool same(std::vector<int> a, const std::vector<int>& b) {
    for (const int f : b)
      if (!take_out(a, f)) return false;
    return a.empty();
  }
  static std::vector<int> common(const std::vector<factors>& terms, std::vector<int> factors::*side);
  bool is_zero_in(int i, int which) const { return is(tree_[i].operand[which], 0); }

  tree& tree_;
};

// ---- sums -----------------------------------------------------------------------------------------------------------

inline void symbols::flatten(int i, double sign, std::vector<factors>& terms) const {
  const tree_node& n = tree_[i];
  if (n.is(op_code::add) || n.is(op_code::subtract)) {
    flatten(n.operand[0], sign, terms);
    flatten(n.operand[1], n.is(op_code::add) ? sign : -sign, terms);
    return;
  }
  factors p = split(i);
  p.number *= sign;
  if (p.number != 0) terms.push_back(p);
}

// Takes f out of a list once; false if it is not there.
inline bool symbols::take_out(std::vector<int>& from, int f) {
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (from[i] != f) continue;
    from.erase(from.begin() + static_cast<std::ptrdiff_t>(i));
    return true;
  }
  return false;
}

inline std::vector<int> symbols::common(const std::vector<factors>& terms, std::vector<int> factors::*side) {
  std::vector<int> result;
  auto rest = terms;
  for (const int f : terms[0].*side) {
    bool everywhere = true;
    for (auto& t : rest) everywhere = take_out(t.*side, f) && everywhere;
    if (everywhere) result.push_back(f);
  }
  return result;
}

// a + b as one product, if they differ in their numbers only, or are both under one word.
inline bool symbols::merge(factors& a, const factors& b) {
  if (same(a.up, b.up) && same(a.down, b.down)) {
    a.number += b.number;
    return true;
  }
  if (a.up.size() == 1 && b.up.size() == 1 && a.down.empty() && b.down.empty()) {
    const tree_node x = tree_[a.up[0]], y = tree_[b.up[0]];
    const bool word = x.kind == node_kind::operation &&
                      (x.op == &unmasked_word || x.op == &counted_word || x.op == &counted_group_word ||
                       x.op == &chosen_word || x.op == &rejected_word);
    if (word && y.kind == node_kind::operation && x.op == y.op) {
      const int sum = add(multiply(constant(a.number), x.operand[0]), multiply(constant(b.number), y.operand[0]));
      a = {1, {make(x.op, {sum})}, {}};
      return true;
    }
  }
  return false;
}

// p·where(c, x, 0) + q·where(c, 0, y) = where(c, p·x, q·y)
inline bool symbols::merge_cases(factors& a, const factors& b) {
  for (const int p : a.up) {
    for (const int q : b.up) {
      if (!tree_[p].is(op_code::where) || !tree_[q].is(op_code::where)) continue;
      const tree_node x = tree_[p], y = tree_[q];
      const bool first = is_zero_in(p, 2) && is_zero_in(q, 1), second = is_zero_in(p, 1) && is_zero_in(q, 2);
      if (x.operand[0] != y.operand[0] || (!first && !second)) continue;
      factors rest = a, other = b;
      take_out(rest.up, p);
      take_out(other.up, q);
      const int u = multiply(join(rest), x.operand[first ? 1 : 2]), v = multiply(join(other), y.operand[first ? 2 : 1]);
      a = split(where(x.operand[0], first ? u : v, first ? v : u));
      return true;
    }
  }
  return false;
}

inline int symbols::add(const std::vector<int>& given) {
  std::vector<factors> all, terms;
  for (const int i : given) flatten(i, 1, all);
  for (const factors& p : all) {
    bool merged = false;
    for (auto& t : terms) merged = merged || merge(t, p);
    if (!merged) terms.push_back(p);
  }
  std::vector<factors> kept;
  for (const factors& t : terms)
    if (t.number != 0) kept.push_back(t);
  if (kept.empty()) return constant(0);
  if (kept.size() == 1) return join(kept[0]);

  factors out{1, common(kept, &factors::up), common(kept, &factors::down)};
  bool negative = true;
  for (const factors& t : kept) negative = negative && t.number < 0;
  double size = kept[0].number < 0 ? -kept[0].number : kept[0].number;  // of each term, if it is the same
  for (const factors& t : kept)
    if (t.number != size && t.number != -size) size = 1;
  out.number = negative ? -size : size;
  std::vector<int> parts;
  std::vector<bool> minus;
  for (factors t : kept) {
    for (const int f : out.up) take_out(t.up, f);
    for (const int f : out.down) take_out(t.down, f);
    t.number /= out.number;
    minus.push_back(t.number < 0);
    t.number = t.number < 0 ? -t.number : t.number;
    parts.push_back(join(t));
  }
  if (out.up.size() + out.down.size() > 0) {  // what is left may collect further
    for (std::size_t i = 0; i < parts.size(); ++i)
      if (minus[i]) parts[i] = negate(parts[i]);
    const int sum = add(parts);
    return multiply(join(out), sum);
  }
  for (std::size_t i = 0; i < kept.size(); ++i) {
    for (std::size_t j = i + 1; j < kept.size(); ++j) {
      if (!merge_cases(kept[i], kept[j])) continue;
      kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(j));
      std::vector<int> fewer;
      for (const factors& t : kept) fewer.push_back(join(t));
      return add(fewer);
    }
  }
  std::size_t first = 0;  // what is added before what is subtracted
  while (minus[first]) ++first;
  int sum = parts[first];
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i == first) continue;
    sum = minus[i] ? make<subtract_op, false, false>({sum, parts[i]}) : make<add_op, false, false>({sum, parts[i]});
  }
  return multiply(constant(out.number), sum);
}

}  // namespace formula
}  // namespace gradwire::inline v0
