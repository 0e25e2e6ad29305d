// SPDX-License-Identifier: Apache-2.0
// Why the value of a loss may be 0 while its gradient is not: found by evaluating it on-policy, and by looking for
// parts whose value is constant and whose slope is not.
#pragma once

#include <gradwire/gradient/derivative.hpp>
#include <gradwire/gradient/explain_words.hpp>
#include <gradwire/gradient/formula_text.hpp>
#include <gradwire/gradient/interpret.hpp>

namespace gradwire::inline v0 {
namespace formula {

// The field that a loss is differentiated by, if nobody says.
inline std::string_view standard_variable(const tree& formula) {
  for (const std::string_view name : {"logprobs", "candidate_logprobs", "values", "score"}) {
    const int field = formula.find_field(name);
    if (field >= 0 && carries_gradient(formula, field)[static_cast<std::size_t>(formula.loss)]) return name;
  }
  for (int i = 0; i < formula.size(); ++i)
    if (formula[i].kind == node_kind::field && carries_gradient(formula, i)[static_cast<std::size_t>(formula.loss)])
      return formula[i].name;
  return "logprobs";
}

// One group of two sequences of two tokens. The logprob columns are the same, the tokens' values are not; the
// advantages are 1 and −1.
inline table on_policy_table(const tree& formula) {
  table data;
  data.sequences = 2;
  data.groups = 1;
  data.candidates = 2;
  data.padded = 4;
  data.offset = {0, 2};
  data.length = {2, 2};
  data.group_begin = {0, 2};
  data.role = {chosen_role, rejected_role};
  data.columns.push_back({"weights", extent::token, {1, 1, 1, 1}});
  for (const tree_node& n : formula.nodes) {
    if (n.kind != node_kind::field || n.name == "weights") continue;
    table_column column{n.name, n.level, {}};
    for (std::size_t e = 0; e < data.elements(n.level); ++e) {
      const bool second = n.level == extent::sequence ? e == 1 : e % 4 > 1;
      column.values.push_back(n.name.find("logprobs") != n.name.npos
                                  ? -0.25 - 0.125 * static_cast<double>(e % 4 * (e % 4))
                              : n.name.find("advantage") != n.name.npos ? (second ? -1 : 1)
                                                                        : 1);
    }
    data.columns.push_back(column);
  }
  data.complete();
  return data;
}

inline std::vector<std::string> notes_on(const tree& formula, std::string_view variable) {
  std::vector<std::string> notes;
  const int field = formula.find_field(variable);
  if (field < 0) return notes;
  const auto active = carries_gradient(formula, field);
  const auto is_active = [&](int i) { return active[static_cast<std::size_t>(i)]; };
  bool ratio = false, advantage = false;
  for (int i = 0; i <= formula.loss; ++i) {
    const tree_node& n = formula[i];
    advantage = advantage || (n.kind == node_kind::field && n.name.find("advantage") != n.name.npos);
    ratio = ratio || (n.is(op_code::exp) && is_active(i));
    if (n.is(op_code::subtract) && formula[n.operand[1]].is(op_code::stop_gradient) &&
        formula[n.operand[1]].operand[0] == n.operand[0])
      notes.push_back(text(formula, i) + " is 0 and carries the gradient of " + text(formula, n.operand[0]) +
                      ": it changes no value.");
    if (n.is(op_code::straight_through) && is_active(i))
      notes.push_back("The value of " + text(formula, n.operand[0]) + " comes with the gradient of " +
                      text(formula, n.operand[1]) + ".");
  }
  const interpreter on_policy(formula, on_policy_table(formula));
  double steepest = 0;
  bool is_advantage = true;  // is the slope −advantage times the same share everywhere?
  for (std::size_t e = 0; e < on_policy.adjoint(field).size(); ++e) {
    const double slope = on_policy.adjoint(field)[e];
    steepest = __builtin_fmax(steepest, __builtin_fabs(slope));
    const double signed_share = e < 2 ? -slope : slope, first = -on_policy.adjoint(field)[0];
    is_advantage = is_advantage && e < 4 && __builtin_fabs(signed_share - first) <= 1e-9 * __builtin_fabs(first);
  }
  if (advantage && steepest > 1e-9 && __builtin_fabs(on_policy.loss()) < 1e-9 * steepest) {
    std::string note = "On-policy (all logprob columns equal) ";
    note += ratio ? "each ratio is 1 and the value is minus the reduced advantages: 0 where those of a group cancel. "
                  : "the value is 0 where the advantages of a group cancel. ";
    note += "The gradient is not 0";
    note += is_advantage ? ": at each token it is -advantage times the token's share of the reduction." : ".";
    notes.push_back(note);
  }
  return notes;
}

}  // namespace formula
}  // namespace gradwire::inline v0
