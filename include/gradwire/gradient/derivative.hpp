// SPDX-License-Identifier: Apache-2.0
// The derivative of a formula::tree with respect to a field, as a formula: nodes that are added to the tree. Reverse
// mode over its reductions: the body of each is differentiated by what it reads, multiplied by the adjoint of the
// reduction, and, for what is coarser than the body, summed up. Longer adjoints of coarser values get names: g1, g2, …
#pragma once

#include <gradwire/datum/fields.hpp>
#include <gradwire/gradient/derivation.hpp>
#include <gradwire/gradient/local_slope.hpp>

namespace gradwire::inline v0 {
namespace formula {

class deriver {
 public:
  deriver(const tree& formula, std::string_view field) : d_{formula, -1, -1, {}}, s_(d_.formula) {
    d_.variable = formula.find_field(field);
    active_ = carries_gradient(formula, d_.variable);
    find_heads(formula);
    adjoint_.resize(formula.nodes.size());
  }

  derivation operator()() && {
    const int root = d_.formula.loss;
    if (d_.variable >= 0 && active(root)) {
      adjoint_[index(root)].push_back(s_.constant(1));
      for (int head = root; head >= 0; --head)
        if (head_[index(head)] && head != d_.variable && !adjoint_[index(head)].empty())
          segment(head, name(head, total(head)));
      d_.slope = s_.add(adjoint_[index(d_.variable)]);
    }
    if (d_.slope < 0) d_.slope = s_.constant(0);
    return static_cast<derivation&&>(d_);
  }

 private:
  // What a reduction gives to an element of its body: adjoint, times w, where it takes part.
  struct share {
    extent level = extent::batch;
    reduction_kind kind = reduction_kind::plain_sum;
    bool counted = false;
    int adjoint = -1;
  };

  static std::size_t index(int i) { return static_cast<std::size_t>(i); }
  bool active(int i) const { return active_[index(i)]; }

  // A segment ends at reductions, at the field, and at what is read by a finer formula.
  void find_heads(const tree& formula) {
    head_.assign(formula.nodes.size(), false);
    const std::vector<bool> reached = reached_from(formula, formula.loss);
    for (int i = 0; i < formula.size(); ++i) {
      const tree_node& n = formula[i];
      if (!active(i) || !reached[index(i)]) continue;
      if (n.kind == node_kind::reduction || i == d_.variable || i == formula.loss) head_[index(i)] = true;
      const extent reads_at = n.kind == node_kind::reduction ? n.from : n.level;
      for (int j = 0; j < n.operands; ++j)
        if (active(n.operand[j]) && formula[n.operand[j]].level > reads_at) head_[index(n.operand[j])] = true;
    }
  }
  static std::vector<bool> reached_from(const tree& formula, int root) {
    std::vector<bool> reached(formula.nodes.size(), false);
    reached[index(root)] = true;
    for (int i = root; i >= 0; --i)
      for (int j = 0; j < formula[i].operands && reached[index(i)]; ++j) reached[index(formula[i].operand[j])] = true;
    return reached;
  }

  // The adjoint of a head. Where sequences without weights are masked anyway, Σ w / Σ w is 1.
  int total(int head) {
    factors p = s_.split(s_.add(adjoint_[index(head)]));
    for (std::size_t i = 0; masks_itself(head) && i < p.up.size(); ++i)
      if (d_.formula[p.up[i]].kind == node_kind::shape && symbols::take_out(p.down, p.up[i]))
        p.up.erase(p.up.begin() + static_cast<std::ptrdiff_t>(i--));
    return s_.join(p);
  }

  // A long adjoint gets a name, and so does one of a value that is read per token.
  int name(int head, int adjoint) {
    static constexpr char names[][4] = {"g1",  "g2",  "g3",  "g4",  "g5",  "g6",  "g7",  "g8",  "g9",  "g10", "g11",
                                        "g12", "g13", "g14", "g15", "g16", "g17", "g18", "g19", "g20", "g21", "g22",
                                        "g23", "g24", "g25", "g26", "g27", "g28", "g29", "g30", "g31", "g32"};
    while (next_name_ < sizeof names / sizeof *names &&
           (d_.formula.find_let(names[next_name_]) >= 0 || d_.formula.find_field(names[next_name_]) >= 0))
      ++next_name_;
    if (next_name_ == sizeof names / sizeof *names || weight_of(adjoint) < 6) return adjoint;
    factors p = s_.split(adjoint);
    const double number = p.number;  // what differs in a number only shares the name
    p.number = 1;
    const int body = s_.join(p);
    for (const named_adjoint& other : d_.names)
      if (d_.formula[other.let].operand[0] == body) return s_.multiply(s_.constant(number), other.let);
    const tree_node n = d_.formula[body];
    const tree_node let{.kind = node_kind::operation,
                        .level = n.level,
                        .from_tokens = n.from_tokens,
                        .name = names[next_name_],
                        .op = &op_functions<let_op<"g">, false>::info,
                        .operands = 1,
                        .operand = {body, -1, -1}};
    d_.names.push_back({d_.formula.add(let), head, number});
    return s_.multiply(s_.constant(number), d_.names.back().let);
  }
  // Leaves that are written; a reduction counts at once as much as makes a name.
  int weight_of(int i) const {
    const tree_node& n = d_.formula[i];
    if (n.is(op_code::let) || n.operands == 0) return 1;
    if (n.kind == node_kind::reduction) return 6;
    int sum = 0;
    for (int j = 0; j < n.operands; ++j) sum += weight_of(n.operand[j]);
    return sum;
  }

  // The adjoint of a head is known: passes it on to the heads below.
  void segment(int head, int adjoint) {
    const tree_node n = d_.formula[head];
    if (n.kind != node_kind::reduction) return body(head, {.level = n.level, .adjoint = adjoint}, true);
    const int x = n.operand[0];
    const bool from_tokens = d_.formula[x].from_tokens;
    share to{n.from, n.reduction, false, adjoint};
    switch (n.reduction) {
      case reduction_kind::counted_sum:
        to.counted = true;
        break;
      case reduction_kind::chosen:
      case reduction_kind::rejected:
        to.counted = from_tokens;
        break;
      case reduction_kind::within: {
        tree_node sum = n;
        sum.operand[0] = d_.formula[adjoint].from_tokens ? s_.make(&every_word, {adjoint}) : adjoint;
        sum.from_tokens = false;
        to = {n.from, reduction_kind::plain_sum, from_tokens, d_.formula.add(sum)};
        break;
      }
      case reduction_kind::sort:
        to = {n.from, reduction_kind::plain_sum, from_tokens, s_.make(&unsorted_word, {x, adjoint})};
        break;
      case reduction_kind::centered:
      case reduction_kind::mean_of_others: {
        tree_node same = n;  // its matrix is symmetric
        same.operand[0] = d_.formula[adjoint].from_tokens ? adjoint : s_.counted(extent::sequence, adjoint);
        to = {n.from, reduction_kind::plain_sum, from_tokens, d_.formula.add(same)};
        break;
      }
      case reduction_kind::deviation: {
        tree_node centered = n;
        centered.reduction = reduction_kind::centered;
        centered.level = centered.to = extent::sequence;
        centered.value = 0;
        const bool group = n.over == extent::group;
        const tree_node size{.kind = node_kind::shape,
                             .level = n.over,
                             .shape = group ? shape_value::counted_size : shape_value::counted_sequences};
        const int others = s_.add(d_.formula.add(size), s_.constant(-n.value));
        const int scaled = s_.divide_or_zero(d_.formula.add(centered), s_.multiply(head, others));
        to = {n.from, reduction_kind::plain_sum, from_tokens, s_.multiply(adjoint, scaled)};
        break;
      }
      default:
        break;
    }
    body(x, to, false);
  }

  // d(start)/d(each head that it reads), and from there their adjoints. `own`: start is the head itself, not what a
  // reduction reads.
  void body(int start, const share& from, bool own) {
    std::vector<std::vector<int>> tangent(index(start) + 1);
    tangent[index(start)].push_back(s_.constant(1));
    for (int i = start; i >= 0; --i) {
      if (tangent[index(i)].empty()) continue;
      const int t = s_.add(tangent[index(i)]);
      if (s_.is(t, 0)) continue;
      if (head_[index(i)] && !(own && i == start)) {
        give(i, from, t);
        continue;
      }
      const tree_node n = d_.formula[i];
      for (int j = 0; j < n.operands; ++j) {
        const int x = n.operand[j];
        if (!active(x) || (n.op->slope_of_second && j == 0)) continue;
        tangent[index(x)].push_back(times_slope(s_, d_.formula, t, i, j));
      }
    }
  }
  void give(int leaf, const share& from, int tangent) { adjoint_[index(leaf)].push_back(given(leaf, from, tangent)); }
  int given(int leaf, const share& from, int tangent) {
    const extent to = d_.formula[leaf].level;
    factors p = s_.split(s_.multiply(from.adjoint, tangent));
    const double number = p.number;
    p.number = 1;
    return s_.multiply(s_.constant(number), given(leaf, to, from, s_.join(p)));
  }
  int given(int leaf, extent to, const share& from, int x) {
    switch (from.kind) {
      case reduction_kind::weighted_sum:
      case reduction_kind::unit_sum:
        if (to > extent::token) return sum(from.kind, extent::token, to, x);
        if (from.kind == reduction_kind::unit_sum) return s_.make(&unmasked_word, {x});
        return s_.multiply(weights(), x);
      case reduction_kind::chosen:
        x = s_.make(&chosen_word, {x});
        break;
      case reduction_kind::rejected:
        x = s_.make(&rejected_word, {x});
        break;
      default:
        break;
    }
    if (to > from.level)
      return sum(from.counted ? reduction_kind::counted_sum : reduction_kind::plain_sum, from.level, to, x);
    return from.counted && !masks_itself(leaf) ? s_.counted(from.level, x) : x;
  }
  // A reduction that takes nothing of a sequence or group without weights, whatever its adjoint is.
  bool masks_itself(int leaf) const {
    const tree_node& n = d_.formula[leaf];
    return n.is(reduction_kind::weighted_sum) || n.is(reduction_kind::unit_sum) || n.is(reduction_kind::counted_sum) ||
           ((n.is(reduction_kind::chosen) || n.is(reduction_kind::rejected)) && d_.formula[n.operand[0]].from_tokens);
  }
  int weights() {
    return d_.formula.add({.kind = node_kind::field, .level = extent::token, .name = fields::weights.info.name});
  }

  // Σ of x up to the extent `to`; what is as coarse as that is taken out.
  int sum(reduction_kind kind, extent from, extent to, int x) {
    const extent next = from == extent::candidate                         ? extent::token
                        : from == extent::token                           ? extent::sequence
                        : from == extent::sequence && to == extent::group ? extent::group
                                                                          : extent::batch;
    const factors all = s_.split(x);
    factors inside, outside{all.number, {}, {}};
    for (const int f : all.up) (d_.formula[f].level >= next ? outside : inside).up.push_back(f);
    for (const int f : all.down) (d_.formula[f].level >= next ? outside : inside).down.push_back(f);
    int reduced = -1;
    const int body = s_.join(inside);
    if (inside.up.empty() && inside.down.empty() && from != extent::candidate && kind != reduction_kind::chosen) {
      reduced = d_.formula.add({.kind = node_kind::shape, .level = next, .shape = number_of(kind, from, next)});
    } else {
      const bool from_tokens = d_.formula[body].from_tokens;
      int summed = body;
      if (kind == reduction_kind::counted_sum && !from_tokens) summed = s_.counted(from, body);
      reduced = d_.formula.add({.kind = node_kind::reduction,
                                .level = next,
                                .from_tokens = from == extent::token || d_.formula[summed].from_tokens,
                                .reduction = kind,
                                .from = from,
                                .to = next,
                                .operands = 1,
                                .operand = {summed, -1, -1}});
    }
    const int result = s_.multiply(s_.join(outside), reduced);
    if (next >= to) return result;
    // Above the tokens: what has no weights gives nothing, unless every position was summed up.
    return sum(from <= extent::token && kind != reduction_kind::plain_sum ? reduction_kind::counted_sum
               : from <= extent::token                                    ? reduction_kind::plain_sum
                                                                          : kind,
               next, to, result);
  }
  static shape_value number_of(reduction_kind kind, extent from, extent to) {
    if (from == extent::token)
      return kind == reduction_kind::weighted_sum ? shape_value::weight_sum
             : kind == reduction_kind::unit_sum   ? shape_value::weight_count
                                                  : shape_value::sequence_length;
    const bool counted = kind == reduction_kind::counted_sum;
    if (from == extent::group) return counted ? shape_value::counted_groups : shape_value::group_count;
    if (to == extent::group) return counted ? shape_value::counted_size : shape_value::group_size;
    return counted ? shape_value::counted_sequences : shape_value::sequence_count;
  }

  derivation d_;
  symbols s_;
  std::vector<bool> active_, head_;
  std::size_t next_name_ = 0;
  std::vector<std::vector<int>> adjoint_;  // of a head: what is added up
};

inline derivation derive(const tree& formula, std::string_view field) { return deriver(formula, field)(); }

}  // namespace formula
}  // namespace gradwire::inline v0
