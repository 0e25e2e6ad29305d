// SPDX-License-Identifier: Apache-2.0
// A formula evaluated the obvious way, in double: every node at every element, masked ones too (reductions select), and
// the adjoint dL/d(node at that element) in reverse. Slow, and independent of the engine, which it checks.
//
//   formula::interpreter run(reflect(my_grpo{}), formula::table_of(data));
//   run.loss(); run.value(node)[element]; run.adjoint(node)[element]; run.metric(i);      // elements: see table.hpp
//   run.perturbed(variable, element, 1e-5).loss        // one value moved, what is detached held
//
// It checks no weights and no pairs: evaluate the loss first. Throws error (errc::data) where a column is missing.
#pragma once

#include <gradwire/gradient/interpret_reduction.hpp>
#include <utility>

namespace gradwire::inline v0 {
namespace formula {

class interpreter {
 public:
  using values = std::vector<double>;

  interpreter(tree formula, table data) : tree_(std::move(formula)), data_(std::move(data)) {
    for (int n = 0; n < tree_.size(); ++n) value_.push_back(evaluate(n));
    now_ = value_;
    changed_.resize(tree_.nodes.size());
    differentiate();
  }

  const tree& formula() const { return tree_; }
  const table& data() const { return data_; }
  double loss() const { return value(tree_.loss)[0]; }
  const values& value(int node) const { return value_[index(node)]; }      // [element]
  const values& adjoint(int node) const { return adjoint_[index(node)]; }  // [element]; 0 behind what is detached
  // There is no metric where there is nothing to average: no w ≠ 0, or a mean in it that divides by nothing.
  bool has_metric(std::size_t i) const {
    bool any = false;
    for (const double w : data_.weights) any = any || w != 0;
    return any && !divides_by_nothing(tree_.metrics[i].node);
  }
  double metric(std::size_t i) const { return value(tree_.metrics[i].node)[0]; }

  // The value of a node's operand where it contributes to the node's element, and d(node) / d(operand) there; of an
  // operation only.
  double operand(int node, int which, std::size_t element) const { return read(value_, node, which, element); }
  double slope(int node, int which, std::size_t element) const {
    const tree_node& n = tree_[node];
    double x[3] = {};
    for (int i = 0; i < n.operands; ++i) x[i] = read(value_, node, i, element);
    return n.op->slope(x, value(node)[element], which);
  }

  // The loss with one element of a field moved. `kink` is the first node that took another side there (min, max, clamp,
  // abs, the order of a sort) while the loss depends on it; -1 if none did.
  struct trial {
    double loss = 0;
    int kink = -1;
    std::size_t kink_element = 0;
    int lost = -1;  // the first node that was finite and is not there, if any
  };
  trial perturbed(int field, std::size_t element, double by) {
    trial result{loss(), -1, 0, -1};
    if (field > tree_.loss) return result;  // read by metrics only
    set(field, element, value(field)[element] + by);
    for (int n = field + 1; n <= tree_.loss; ++n) {
      update(n, result);
      for (const std::size_t e : changed_[index(n)])
        if (result.lost < 0 && !__builtin_isfinite(now_[index(n)][e]) && __builtin_isfinite(value_[index(n)][e]))
          result.lost = n;
    }
    result.loss = now_[index(tree_.loss)][0];
    for (int n = 0; n <= tree_.loss; ++n) {
      for (const std::size_t e : changed_[index(n)]) now_[index(n)][e] = value_[index(n)][e];
      changed_[index(n)].clear();
    }
    return result;
  }

 private:
  static std::size_t index(int node) { return static_cast<std::size_t>(node); }

  double read(const std::vector<values>& from, int node, int which, std::size_t element) const {
    const int x = tree_[node].operand[which];
    return from[index(x)][data_.coarser(tree_[node].level, element, tree_[x].level)];
  }

  bool divides_by_nothing(int node) const {
    const tree_node& n = tree_[node];
    if (n.is(reduction_kind::deviation) && n.over == extent::batch) {
      std::size_t size = 0;
      for (std::size_t s = 0; s < data_.sequences; ++s)
        size += data_.counted(extent::sequence, s) ||
                (!tree_[n.operand[0]].from_tokens && __builtin_isfinite(read(value_, node, 0, s)));
      return static_cast<double>(size) <= n.value;
    }
    if (n.kind != node_kind::operation) return false;
    bool any = (n.is(op_code::divide_or_zero) || n.is(op_code::mean_where)) && value(n.operand[1])[0] == 0;
    for (int i = 0; i < n.operands; ++i) any = any || divides_by_nothing(n.operand[i]);
    return any;
  }

  double compute(const std::vector<values>& from, int node, std::size_t element) const {
    const tree_node& n = tree_[node];
    double x[3] = {};
    for (int i = 0; i < n.operands; ++i) x[i] = read(from, node, i, element);
    return n.op->value(x);
  }

  values evaluate(int node) const {
    const tree_node& n = tree_[node];
    values result(data_.elements(n.level), 0.0);
    switch (n.kind) {
      case node_kind::constant:
        result[0] = n.value;
        break;
      case node_kind::field: {
        const table_column* const column = data_.find(n.name);
        if (!column) throw error(errc::data, std::string("the data carries no column ").append(n.name));
        result = column->values;
        break;
      }
      case node_kind::shape:
        data_.for_each(n.level, [&](std::size_t e) { result[e] = shape_at(data_, n.shape, e); });
        break;
      case node_kind::operation:
        data_.for_each(n.level, [&](std::size_t e) { result[e] = compute(value_, node, e); });
        break;
      case node_kind::reduction:
        reduction(tree_, data_, n).values(value_, result);
        break;
    }
    return result;
  }

  void differentiate() {
    for (const tree_node& n : tree_.nodes) adjoint_.emplace_back(data_.elements(n.level), 0.0);
    adjoint_[index(tree_.loss)][0] = 1;
    for (int node = tree_.loss; node >= 0; --node) {
      const tree_node& n = tree_[node];
      if (n.detached) continue;
      if (n.kind == node_kind::reduction) reduction(tree_, data_, n).adjoints(value_, adjoint_[index(node)], adjoint_);
      if (n.kind != node_kind::operation) continue;
      data_.for_each(n.level, [&](std::size_t e) {
        const double adjoint = adjoint_[index(node)][e];
        if (adjoint == 0) return;  // nothing flows, however steep the operation is
        for (int i = 0; i < n.operands; ++i) {
          const int x = n.operand[i];
          adjoint_[index(x)][data_.coarser(n.level, e, tree_[x].level)] += adjoint * slope(node, i, e);
        }
      });
    }
  }

  // ---- one value moved ----

  void set(int node, std::size_t element, double x) {
    now_[index(node)][element] = x;
    changed_[index(node)].push_back(element);
  }

  // Calls f for the elements of an extent that belong to an element of a coarser or equal one.
  template <class F>
  void for_each_within(extent level, extent coarse, std::size_t element, F&& f) const {
    if (level == coarse)
      f(element);
    else
      data_.for_each(level, [&](std::size_t e) {
        if (data_.coarser(level, e, coarse) == element) f(e);
      });
  }

  void update(int node, trial& result) {
    const tree_node& n = tree_[node];
    if (n.detached) return;
    for (int i = 0; i < n.operands; ++i) {
      const int x = n.operand[i];
      if (n.kind == node_kind::reduction) {
        if (!changed_[index(x)].empty()) update_reduction(node, result);
        break;
      }
      for (const std::size_t from : changed_[index(x)])
        for_each_within(n.level, tree_[x].level, from, [&](std::size_t e) { update_operation(node, e, result); });
    }
  }
  void update_operation(int node, std::size_t e, trial& result) {
    const tree_node& n = tree_[node];
    double was[3] = {}, is[3] = {};
    for (int i = 0; i < n.operands; ++i) {
      was[i] = read(value_, node, i, e);
      is[i] = read(now_, node, i, e);
    }
    if (n.op->slope_of_second)  // the value of the first operand stays, the slope is the second's
      set(node, e, value_[index(node)][e] + (is[1] - was[1]));
    else
      set(node, e, n.op->value(is));
    if (side(n.op->code, was) != side(n.op->code, is)) note_kink(node, e, result);
  }
  void update_reduction(int node, trial& result) {
    const tree_node& n = tree_[node];
    values fresh(data_.elements(n.level), 0.0);
    const reduction r(tree_, data_, n);
    r.values(now_, fresh);
    for (std::size_t e = 0; e < fresh.size(); ++e)
      if (fresh[e] != value_[index(node)][e]) set(node, e, fresh[e]);
    if (n.is(reduction_kind::sort)) {
      const auto before = r.order(value_), after = r.order(now_);
      for (std::size_t i = 0; i < before.size(); ++i)
        if (before[i] != after[i]) return note_kink(node, i, result);
    }
  }
  void note_kink(int node, std::size_t element, trial& result) const {
    if (result.kink >= 0 || adjoint_[index(node)][element] == 0) return;
    result.kink = node;
    result.kink_element = element;
  }
  // Which side of its kink an operation is on.
  static int side(op_code code, const double* x) {
    switch (code) {
      case op_code::minimum:
        return x[1] < x[0];
      case op_code::maximum:
        return x[1] > x[0];
      case op_code::clamp:
        return x[0] < x[1] ? -1 : x[0] > x[2];
      case op_code::abs:
        return x[0] < 0 ? -1 : x[0] > 0;
      case op_code::divide_or_zero:
      case op_code::mean_where:
        return x[1] != 0;
      default:
        return 0;
    }
  }

  tree tree_;
  table data_;
  std::vector<values> value_, adjoint_, now_;
  std::vector<std::vector<std::size_t>> changed_;
};

}  // namespace formula
}  // namespace gradwire::inline v0
