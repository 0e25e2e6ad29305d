// SPDX-License-Identifier: Apache-2.0
// A formula at run time: what `explain`, `dump` and the checks walk over.
//
//   const formula::tree t = reflect(my_grpo{});      // a formula, an objective, or an aggregate that returns one
//   for (const auto& n : t.nodes) …                  // operands come first; equal subtrees are one node
//
// Throws error (errc::config) where one let name stands for two values.
#pragma once

#include <gradwire/datum/field.hpp>
#include <gradwire/error.hpp>
#include <gradwire/expression/group.hpp>
#include <gradwire/expression/order.hpp>
#include <gradwire/expression/selection.hpp>
#include <gradwire/gradient/tree_node.hpp>
#include <string>

namespace gradwire::inline v0 {
namespace formula {

template <class Kind>
constexpr reduction_kind kind_of_sum() {
  if constexpr (std::is_same_v<Kind, weighted_sum>)
    return reduction_kind::weighted_sum;
  else if constexpr (std::is_same_v<Kind, unit_sum> || is_divisor<Kind>)
    return reduction_kind::unit_sum;
  else if constexpr (std::is_same_v<Kind, plain_sum>)
    return reduction_kind::plain_sum;
  else if constexpr (std::is_same_v<Kind, counted_sum>)
    return reduction_kind::counted_sum;
  else if constexpr (std::is_same_v<Kind, largest>)
    return reduction_kind::largest;
  else if constexpr (std::is_same_v<Kind, smallest>)
    return reduction_kind::smallest;
  else
    return Kind::role == 1 ? reduction_kind::chosen : reduction_kind::rejected;
}

template <class Statistic>
constexpr reduction_kind kind_of_statistic() {
  if constexpr (requires { Statistic::ddof; })
    return reduction_kind::deviation;
  else if constexpr (std::is_same_v<Statistic, highest_value>)
    return reduction_kind::highest;
  else if constexpr (std::is_same_v<Statistic, lowest_value>)
    return reduction_kind::lowest;
  else if constexpr (std::is_same_v<Statistic, second_highest_value>)
    return reduction_kind::second_highest;
  else if constexpr (std::is_same_v<Statistic, centered_value>)
    return reduction_kind::centered;
  else if constexpr (std::is_same_v<Statistic, mean_of_others>)
    return reduction_kind::mean_of_others;
}

// Adds an expression with everything below it.
class reflector {
 public:
  explicit reflector(tree& to) : to_(to) {}

  int operator()(const constant& c) { return to_.add({.value = c.value}); }
  template <fixed_string Name, extent Level, fixed_string Wire, role Role>
  int operator()(field<Name, Level, Wire, Role>) {
    return to_.add({.kind = node_kind::field, .level = Level, .name = field<Name, Level, Wire, Role>::info.name});
  }
  template <shape_value What, extent Level>
  int operator()(terminal<What, Level>) {
    return to_.add({.kind = node_kind::shape, .level = Level, .shape = What});
  }
  template <class Op, class A>
  int operator()(const node<Op, A>& e) {
    const int operands[] = {(*this)(e.a)};
    return finish<Op, is_boolean<A>>(node<Op, A>::level, operands, 1);
  }
  template <class Op, class A, class B>
  int operator()(const node<Op, A, B>& e) {
    const int operands[] = {(*this)(e.a), (*this)(e.b)};
    return finish<Op, is_boolean<A>, is_boolean<B>>(node<Op, A, B>::level, operands, 2);
  }
  template <class Op, class A, class B, class C>
  int operator()(const node<Op, A, B, C>& e) {
    const int operands[] = {(*this)(e.a), (*this)(e.b), (*this)(e.c)};
    return finish<Op, is_boolean<A>, is_boolean<B>, is_boolean<C>>(node<Op, A, B, C>::level, operands, 3);
  }

 private:
  // Once for each operation, whatever its operands are.
  template <class Op, bool... Truth>
  [[gnu::noinline]] int finish(extent level, const int* operands, int count) {
    tree_node n{.level = level, .detached = is_detached<Op>};
    for (int i = 0; i < count; ++i) {
      n.from_tokens = n.from_tokens || to_[operands[i]].from_tokens;
      n.operand[n.operands++] = operands[i];
    }
    if constexpr (is_crossing<Op>) {
      describe(n, static_cast<Op*>(nullptr));
      n.kind = node_kind::reduction;
      n.from = Op::body;
      n.to = Op::output;
      n.from_tokens = n.from_tokens || Op::body == extent::token;
    } else {
      n.kind = node_kind::operation;
      n.op = &op_functions<Op, Truth...>::info;
      n.truth = n.op->truth;
      if constexpr (code_of<Op> == op_code::let) n.name = name_let(Op::name.view(), n.operand[0]);
    }
    return to_.add(n);
  }
  template <extent From, extent To, class Kind>
  void describe(tree_node& n, reduce_op<From, To, Kind>*) {
    n.reduction = kind_of_sum<Kind>();
  }
  template <class Field>
  void describe(tree_node& n, within_op<Field>*) {
    n.reduction = reduction_kind::within;
    n.operand[n.operands++] = (*this)(Field{});
  }
  template <extent Level>
  void describe(tree_node& n, sort_op<Level>*) {
    n.reduction = reduction_kind::sort;
  }
  template <extent Over, class Statistic>
  void describe(tree_node& n, statistic_op<Over, Statistic>*) {
    n.reduction = kind_of_statistic<Statistic>();
    n.over = Over;
    if constexpr (requires { Statistic::ddof; }) n.value = Statistic::ddof;
  }
  void describe(tree_node& n, select_op*) { n.reduction = reduction_kind::selected; }
  void describe(tree_node& n, top_threshold_op*) { n.reduction = reduction_kind::top_threshold; }

  std::string_view name_let(std::string_view name, int operand) {
    const int other = to_.find_let(name);
    if (other >= 0 && to_[other].operand[0] != operand)
      throw error(errc::config, std::string("one let name for two values: ").append(name) +
                                    "; give each of the two expressions its own name");
    return other >= 0 ? to_[other].name : name;
  }

  tree& to_;
};

template <class... Metrics>
void add_metrics(const metric_list<Metrics...>& metrics, tree& to) {
  if constexpr (sizeof...(Metrics) > 0) {
    bool there = false;  // a sum of objectives may bring one twice
    for (const tree_metric& each : to.metrics) there = there || each.name == metrics.first.name.view();
    if (!there) to.metrics.push_back({metrics.first.name.view(), reflector(to)(metrics.first.x)});
    add_metrics(metrics.rest, to);
  }
}
template <class... Breaks>
void add_broken(broken<Breaks...>, tree& to) {
  (to.broken.push_back({Breaks::broken_rule, Breaks::reason.view()}), ...);
}

}  // namespace formula

template <class Loss>
formula::tree reflect(const Loss& loss) {
  formula::tree result;
  const auto goal = as_objective(loss);
  result.loss = formula::reflector(result)(goal.loss);
  formula::add_metrics(goal.metrics, result);
  if constexpr (requires { typename Loss::breaks_contract; })
    formula::add_broken(typename Loss::breaks_contract{}, result);
  return result;
}

}  // namespace gradwire::inline v0
