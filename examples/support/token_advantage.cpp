// SPDX-License-Identifier: Apache-2.0
#include "token_advantage.hpp"

#include <algorithm>
#include <gradwire/gradient/interpret.hpp>

namespace catalogue {
namespace {

namespace gw = gradwire;
using gw::extent;
using gw::formula::node_kind;
using gw::formula::tree;
using gw::formula::tree_node;

// mean_over_tokens of a node.
int mean_over_tokens(tree& to, int node) {
  tree_node sum;
  sum.kind = node_kind::reduction;
  sum.reduction = gw::formula::reduction_kind::weighted_sum;
  sum.level = sum.to = extent::sequence;
  sum.from = extent::token;
  sum.from_tokens = true;
  sum.operands = 1;
  sum.operand[0] = node;
  tree_node mean;
  mean.kind = node_kind::operation;
  mean.op = &gw::formula::op_functions<gw::divide_or_zero_op, false, false>::info;
  mean.level = extent::sequence;
  mean.from_tokens = true;
  mean.operands = 2;
  mean.operand[0] = to.add(sum);
  mean.operand[1] = to.add({.kind = node_kind::shape, .level = extent::sequence, .shape = gw::shape_value::weight_sum});
  return to.add(mean);
}

}  // namespace

void add_constant_advantage(batch_table& table) {
  const auto given = table.token.find("token_advantage");
  if (given == table.token.end() || table.sequence.count("advantage")) return;
  const auto weights = table.token.find("weights");
  std::vector<double> found;
  for (std::size_t r = 0; r < table.rows(); ++r) {
    double one = 0;
    bool any = false;
    for (std::size_t t = 0; t < table.lengths[r]; ++t) {
      if (weights != table.token.end() && weights->second[r][t] == 0) continue;
      if (any && given->second[r][t] != one) return;
      one = given->second[r][t];
      any = true;
    }
    found.push_back(one);
  }
  table.sequence["advantage"] = found;
}

bool needs_token_advantage(const preset_row& loss, const batch_table& table) {
  return reads(loss, "advantage") && !table.sequence.count("advantage") && table.token.count("token_advantage");
}

tree with_token_advantage(const tree& from) {
  tree to;
  std::vector<int> now;  // index of each node of `from`
  for (const tree_node& given : from.nodes) {
    tree_node n = given;
    for (int i = 0; i < n.operands; ++i) n.operand[i] = now[static_cast<std::size_t>(given.operand[i])];
    if (n.kind == node_kind::field && n.name == "advantage") {
      n.name = "token_advantage";
      n.level = extent::token;
    } else if (n.kind == node_kind::operation) {
      n.level = extent::batch;
      for (int i = 0; i < n.operands; ++i) {
        n.level = std::min(n.level, to[n.operand[i]].level);
        n.from_tokens = n.from_tokens || to[n.operand[i]].from_tokens;
      }
    } else if (n.kind == node_kind::reduction && to[n.operand[0]].level < n.from) {
      if (to[n.operand[0]].level != extent::token || n.from != extent::sequence)
        throw gw::error(gw::errc::config,
                        "the loss compares advantages of groups, and those of the batch are per token; "
                        "give one number a row");
      n.operand[0] = mean_over_tokens(to, n.operand[0]);
      n.from_tokens = true;
    }
    now.push_back(to.add(n));
  }
  to.loss = now[static_cast<std::size_t>(from.loss)];
  for (const auto& metric : from.metrics)
    to.metrics.push_back({metric.name, now[static_cast<std::size_t>(metric.node)]});
  to.broken = from.broken;
  return to;
}

gw::evaluation<double> interpret(const tree& of, const gw::field_info& variable, const full_batch& batch) {
  const gw::formula::interpreter run(of, gw::formula::table_of(batch));
  gw::evaluation<double> result;
  result.loss = run.loss();
  gw::writable_column<double> slope(batch.layout_handle(), variable.level);
  const auto& found = run.adjoint(of.find_field(variable.name));
  std::copy(found.begin(), found.end(), slope.data());
  result.slope = std::move(slope);
  for (std::size_t i = 0; i < of.metrics.size(); ++i)
    if (run.has_metric(i)) result.metrics.push_back({of.metrics[i].name, run.metric(i)});
  return result;
}

}  // namespace catalogue
