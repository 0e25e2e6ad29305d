// SPDX-License-Identifier: Apache-2.0
// What the tests of the contract share: how two answers are compared, and what the formula of a preset says about it.
#pragma once

#include <gradwire/gradient/interpret.hpp>

#include <algorithm>
#include <limits>
#include <optional>

#include "catalogue.hpp"
#include "random_batch.hpp"
#include "token_advantage.hpp"

namespace contract {

using catalogue::preset_row;
using gradwire::rule;
namespace formula = gradwire::formula;

inline constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
inline constexpr double infinity = std::numeric_limits<double>::infinity();

// What a rule found: nothing where it does not apply, "" where it holds, else how it is broken.
using verdict = std::optional<std::string>;

inline std::string text(double x) { return gradwire::detail::exact(x); }

// "" where two answers agree, relative to the largest slope (and the loss to itself and to that).
inline std::string compare(const answer& a, const answer& b, double tolerance) {
  const double size = std::max({a.largest(), b.largest(), 1e-300});
  const double loss_size = std::max({std::abs(a.loss), std::abs(b.loss), size});
  if (!(std::abs(a.loss - b.loss) <= tolerance * loss_size)) return "loss " + text(a.loss) + " and " + text(b.loss);
  for (std::size_t r = 0; r < a.slope.size(); ++r)
    for (std::size_t i = 0; i < a.slope[r].size(); ++i)
      if (!(std::abs(a.slope[r][i] - b.slope[r][i]) <= tolerance * size))
        return "slope of row " + std::to_string(r) + ", " + std::to_string(i) + ": " + text(a.slope[r][i]) + " and " +
               text(b.slope[r][i]);
  return "";
}

// ---- the part of a loss that reads no advantage ---------------------------------------------------------------------

class without_advantage {
 public:
  explicit without_advantage(const formula::tree& from) : from_(from), to_(from), kept_(false) {
    to_.loss = prune(from.loss);
  }
  const formula::tree& result() const { return to_; }
  bool has_terms() const { return kept_; }  // KL terms, quadratic terms …

 private:
  bool reads(int node, bool (*what)(std::string_view)) const {
    const auto& n = from_[node];
    if (n.kind == formula::node_kind::field) return what(n.name);
    for (int i = 0; i < n.operands; ++i)
      if (reads(n.operand[i], what)) return true;
    return false;
  }
  bool has_advantage(int node) const {
    return reads(node, [](std::string_view name) { return name == "advantage" || name == "token_advantage"; });
  }
  bool has_logprobs(int node) const {
    return reads(node, [](std::string_view name) { return name == "logprobs"; });
  }
  // The node with some operands replaced.
  int with(int node, int which, int operand) {
    formula::tree_node n = to_[node];
    n.operand[which] = operand;
    return to_.add(n);
  }
  int nothing(int node) {  // node · 0
    formula::tree_node n;
    n.kind = formula::node_kind::operation;
    n.level = to_[node].level;
    n.op = &formula::op_functions<gradwire::multiply_op, false, false>::info;
    n.operands = 2;
    n.operand[0] = node;
    n.operand[1] = to_.add({.value = 0});
    return to_.add(n);
  }
  int prune(int node) {
    using formula::op_code;
    const formula::tree_node n = from_[node];
    if (!has_advantage(node)) {
      kept_ = kept_ || has_logprobs(node);
      return node;
    }
    if (n.kind == formula::node_kind::reduction && !n.detached) return with(node, 0, prune(n.operand[0]));
    if (n.is(op_code::add) || n.is(op_code::subtract)) {
      const int a = prune(n.operand[0]), b = prune(n.operand[1]);
      return with(with(node, 0, a), 1, b);
    }
    if (n.is(op_code::negate) || n.is(op_code::let) || n.is(op_code::allow)) return with(node, 0, prune(n.operand[0]));
    if (n.is(op_code::multiply) || n.is(op_code::divide) || n.is(op_code::divide_or_zero))
      for (int i = 0; i < (n.is(op_code::multiply) ? 2 : 1); ++i)
        if (!has_logprobs(n.operand[1 - i]) && !has_advantage(n.operand[1 - i]))
          return with(node, i, prune(n.operand[i]));
    if (n.is(op_code::where) && !has_logprobs(n.operand[0]) && !has_advantage(n.operand[0])) {
      const int a = prune(n.operand[1]), b = prune(n.operand[2]);
      return with(with(node, 1, a), 2, b);
    }
    return nothing(node);
  }

  const formula::tree& from_;
  formula::tree to_;
  bool kept_;
};

inline bool declares(const catalogue::row& row, rule which) {
  return std::any_of(row.breaks.begin(), row.breaks.end(), [&](const auto& b) { return b.what == which; });
}

// A preset with its defaults, and what its formula says.
struct subject {
  const preset_row& row;
  std::vector<double> values = catalogue::defaults(row);
  formula::tree tree = row.reflect(values);
  without_advantage rest{tree};

  explicit subject(const preset_row& of) : row(of) {}
  bool reads(std::string_view field) const { return catalogue::reads(row, field); }
  bool is_policy_loss() const {
    return (reads("advantage") || reads("token_advantage")) && std::string_view(row.variable->name) == "logprobs";
  }
  bool breaks(rule which) const { return declares(row, which); }
  batch_table table(unsigned seed) const { return random_batch(seed); }
  bool per_token() const { return row.variable->level != gradwire::extent::sequence; }
  answer operator()(const batch_table& table) const { return evaluate(row, values, table); }
  // Value and slope of the terms that read no advantage.
  answer terms_without_advantage(const batch_table& table) const {
    answer result;
    for (std::size_t n : table.lengths) result.slope.emplace_back(n, 0.0);
    if (!rest.has_terms()) return result;
    const auto made = catalogue::make_batch(table, row.pairs);
    const formula::interpreter run(rest.result(), formula::table_of(made.batch));
    result.loss = run.loss();
    const auto& adjoint = run.adjoint(rest.result().find_field("logprobs"));
    const auto& shape = made.batch.shape();
    for (std::size_t s = 0; s < made.row.size(); ++s)
      for (std::size_t t = 0; t < shape.length[s]; ++t) result.slope[made.row[s]][t] = adjoint[shape.offset[s] + t];
    return result;
  }
};

inline void set_advantage(batch_table& table, const std::vector<double>& values) {
  table.sequence["advantage"] = values;
  for (std::size_t r = 0; r < table.rows(); ++r)
    for (double& a : table.token["token_advantage"][r]) a = values[r];
}

inline answer minus(answer a, const answer& b) {
  a.loss -= b.loss;
  for (std::size_t r = 0; r < a.slope.size(); ++r)
    for (std::size_t i = 0; i < a.slope[r].size(); ++i) a.slope[r][i] -= b.slope[r][i];
  return a;
}

inline void mask_row(batch_table& table, std::size_t r) {
  for (double& w : table.token["weights"][r]) w = 0;
}

}  // namespace contract
