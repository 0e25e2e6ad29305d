// SPDX-License-Identifier: Apache-2.0
// A formula at run time: what `explain`, `dump` and the checks walk over.
//
//   const formula::tree t = reflect(my_grpo{});      // a formula, an objective, or an aggregate that returns one
//   for (const auto& n : t.nodes) …                  // operands come before what reads them; equal subtrees are one
//   node
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
  template <class Op, class... Xs>
  int operator()(const node<Op, Xs...>& e) {
    tree_node n{.level = node<Op, Xs...>::level, .detached = is_detached<Op>};
    take(n, e.a);
    if constexpr (sizeof...(Xs) > 1) take(n, e.b);
    if constexpr (sizeof...(Xs) > 2) take(n, e.c);
    if constexpr (is_crossing<Op>) {
      describe(n, static_cast<Op*>(nullptr));
      n.kind = node_kind::reduction;
      n.from = Op::body;
      n.to = Op::output;
      n.from_tokens = n.from_tokens || Op::body == extent::token;
    } else {
      n.kind = node_kind::operation;
      n.op = &op_functions<Op, is_boolean<Xs>...>::info;
      n.truth = n.op->truth;
      if constexpr (code_of<Op> == op_code::let) n.name = name_let(Op::name.view(), n.operand[0]);
    }
    return to_.add(n);
  }

 private:
  template <class E>
  void take(tree_node& n, const E& e) {
    const int at = (*this)(e);
    n.from_tokens = n.from_tokens || to_[at].from_tokens;
    n.operand[n.operands++] = at;
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
    to.metrics.push_back({metrics.first.name.view(), reflector(to)(metrics.first.x)});
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
