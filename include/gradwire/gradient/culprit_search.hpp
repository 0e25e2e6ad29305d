// SPDX-License-Identifier: Apache-2.0
// The search behind find_culprit: a formula's values and tangents in the batch's arithmetic, and the first expression
// that makes inf or NaN out of finite numbers.
#pragma once

#include <gradwire/gradient/interpret_reduction.hpp>

namespace gradwire::inline v0 {
namespace detail {

using values_of_nodes = std::vector<std::vector<double>>;  // [node][element]

// Values and tangents of a formula in the batch's arithmetic, and the search for where they cease to be finite.
class culprit_search {
 public:
  culprit_search(const formula::tree& formula, const formula::table& data, bool as_float)
      : tree_(formula), data_(data), as_float_(as_float) {
    for (int n = 0; n < tree_.size(); ++n) value_.push_back(evaluate(n));
  }
  double loss() const { return of(value_, tree_.loss, 0); }
  struct found_at {
    int node = -1;
    std::size_t element = 0;
    double value = 0;
  };

  // Backwards from the loss over what is not finite and took part, to the earliest that has only finite operands.
  found_at in_value() const {
    std::vector<std::vector<bool>> wanted;
    for (const auto& n : tree_.nodes) wanted.emplace_back(data_.elements(n.level), false);
    if (!finite(loss())) wanted[at(tree_.loss)][0] = true;
    found_at first;
    for (int node = tree_.loss; node >= 0; --node) {
      const formula::tree_node& n = tree_[node];
      // A reduction's elements that share their sources: those of one element of `whole`.
      const extent whole = n.kind == formula::node_kind::reduction ? sources_of(n) : n.level;
      std::vector<bool> asked(data_.elements(whole), false), passed_on(data_.elements(whole), false);
      data_.for_each(n.level, [&](std::size_t e) {
        if (wanted[at(node)][e]) asked[data_.coarser(n.level, e, whole)] = true;
      });
      for_each_source(n, whole, asked, [&](std::size_t place, int operand, std::size_t element) {
        if (finite(of(value_, operand, element))) return;
        wanted[at(operand)][element] = true;
        passed_on[place] = true;
      });
      data_.for_each(n.level, [&](std::size_t e) {
        if (first.node != node && wanted[at(node)][e] && !passed_on[data_.coarser(n.level, e, whole)])
          first = {node, e, of(value_, node, e)};
      });
    }
    return first;
  }

  // Forwards from one element of the variable: the first derivative that is not finite, from finite ones.
  found_at in_slope(int variable, std::size_t element) const {
    values_of_nodes slope;
    std::vector<std::vector<bool>> reached;
    for (const auto& n : tree_.nodes) {
      slope.emplace_back(data_.elements(n.level), 0.0);
      reached.emplace_back(data_.elements(n.level), false);
    }
    slope[at(variable)][element] = 1;
    reached[at(variable)][element] = true;
    for (int node = variable + 1; node <= tree_.loss; ++node) {
      const formula::tree_node& n = tree_[node];
      if (n.detached || n.operands == 0) continue;
      found_at broken;
      data_.for_each(n.kind == formula::node_kind::reduction ? n.from : n.level, [&](std::size_t e) {
        if (broken.node >= 0) return;
        const std::size_t to = n.kind == formula::node_kind::reduction ? data_.coarser(n.from, e, n.to) : e;
        double sum = 0;
        bool any = false;
        for (int i = 0; i < (n.kind == formula::node_kind::reduction ? 1 : n.operands); ++i) {
          const std::size_t from =
              data_.coarser(n.kind == formula::node_kind::reduction ? n.from : n.level, e, tree_[n.operand[i]].level);
          if (!reached[at(n.operand[i])][from]) continue;
          const double passed = pass(node, i, e, of(slope, n.operand[i], from));
          any = any || passed != 0 || !selects(n);
          sum += passed;
        }
        if (!any) return;
        reached[at(node)][to] = true;
        slope[at(node)][to] = rounded(n.level, of(slope, node, to) + sum);
        if (!finite(of(slope, node, to))) broken = {node, to, of(slope, node, to)};
      });
      if (broken.node >= 0) return broken;
    }
    return {};
  }

  double value(int node, std::size_t element) const { return of(value_, node, element); }
  const formula::tree& tree() const { return tree_; }
  const formula::table& data() const { return data_; }

 private:
  static std::size_t at(int node) { return static_cast<std::size_t>(node); }
  static double of(const values_of_nodes& from, int node, std::size_t element) { return from[at(node)][element]; }
  static bool finite(double x) { return x - x == 0; }
  double rounded(extent level, double x) const {
    return as_float_ && level <= extent::token ? static_cast<double>(static_cast<float>(x)) : x;
  }
  void operands_of(const formula::tree_node& n, std::size_t e, double* x) const {
    for (int i = 0; i < n.operands; ++i)
      x[i] = of(value_, n.operand[i], data_.coarser(n.level, e, tree_[n.operand[i]].level));
  }
  std::vector<double> evaluate(int node) const {
    const formula::tree_node& n = tree_[node];
    std::vector<double> result(data_.elements(n.level), 0.0);
    using enum formula::node_kind;
    if (n.kind == constant) result[0] = n.value;
    if (n.kind == field) result = column(n.name);
    if (n.kind == shape) data_.for_each(n.level, [&](std::size_t e) { result[e] = shape_at(data_, n.shape, e); });
    if (n.kind == reduction) formula::reduction(tree_, data_, n).values(value_, result);
    if (n.kind == operation)
      data_.for_each(n.level, [&](std::size_t e) {
        double x[3] = {};
        operands_of(n, e, x);
        result[e] = n.op->value(x);
      });
    for (double& x : result) x = rounded(n.level, x);
    return result;
  }

  const std::vector<double>& column(std::string_view name) const {
    const formula::table_column* const found = data_.find(name);
    if (!found) throw error(errc::data, std::string("the data carries no column ").append(name));
    return found->values;
  }

  // Where a result of 0 from an operand means that another operand was taken.
  static bool selects(const formula::tree_node& n) {
    using enum formula::op_code;
    return n.is(where) || n.is(minimum) || n.is(maximum) || n.is(clamp) || n.is(divide_or_zero);
  }
  bool takes_part(const formula::tree_node& n, std::size_t e) const {
    using enum formula::reduction_kind;
    switch (n.reduction) {
      case plain_sum:
      case within:
      case sort:
        return true;
      case chosen:
        return data_.role[e] == chosen_role;
      case rejected:
        return data_.role[e] == rejected_role;
      default:
        return n.from == extent::token ? data_.weights[e] != 0 : n.from < extent::token || data_.counted(n.from, e);
    }
  }
  // What of a reduction's sources an element reads: those of its own place, a statistic its whole group or batch, a
  // part of the batch and a sort any.
  static extent sources_of(const formula::tree_node& n) {
    if (n.reduction >= formula::reduction_kind::deviation) return n.over;
    return n.to == n.from ? extent::batch : n.to;
  }
  // Every operand's element on which the asked places of a node depend: use(place, operand, element).
  template <class Use>
  void for_each_source(const formula::tree_node& n, extent whole, const std::vector<bool>& asked, Use&& use) const {
    if (n.kind == formula::node_kind::reduction) {
      data_.for_each(n.from, [&](std::size_t x) {
        const std::size_t place = data_.coarser(n.from, x, whole);
        if (asked[place] && takes_part(n, x))
          use(place, n.operand[0], data_.coarser(n.from, x, tree_[n.operand[0]].level));
      });
      return;
    }
    data_.for_each(n.level, [&](std::size_t e) {
      if (!asked[e]) return;
      double x[3] = {};
      operands_of(n, e, x);
      for (int i = 0; i < n.operands; ++i) {
        if (n.is(formula::op_code::where) && i == (x[0] != 0 ? 2 : 1)) continue;
        if (n.op->slope_of_second && i == 1) continue;
        use(e, n.operand[i], data_.coarser(n.level, e, tree_[n.operand[i]].level));
      }
    });
  }
  double pass(int node, int which, std::size_t e, double slope) const {
    const formula::tree_node& n = tree_[node];
    if (n.kind == formula::node_kind::reduction) {
      if (!takes_part(n, e)) return 0;
      return n.is(formula::reduction_kind::weighted_sum) ? data_.weights[e] * slope : slope;
    }
    double x[3] = {};
    operands_of(n, e, x);
    const double by = rounded(n.level, n.op->slope(x, of(value_, node, e), which));
    return by == 0 && selects(n) ? 0 : rounded(n.level, by * slope);
  }

  const formula::tree& tree_;
  const formula::table& data_;
  bool as_float_;
  values_of_nodes value_;
};

}  // namespace detail
}  // namespace gradwire::inline v0
