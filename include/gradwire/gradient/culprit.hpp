// SPDX-License-Identifier: Apache-2.0
// Why a loss or its gradient is not finite: the first sub-expression that makes inf or NaN out of finite numbers, with
// the datum, the token, the token id and the numbers that went in.
//
//   if (auto found = find_culprit(my_grpo{}, at(known))) std::cerr << *found;    // with respect to logprobs
//   auto found = find_culprit(value_loss{}, wrt(values), at(data));              // std::optional<culprit>
//   throw_if_not_finite(my_grpo{}, wrt(logprobs), at(known), result.loss, result.slope);   // error(errc::data)
//
// Only what reaches the loss counts: NaN at a masked token, or in the branch that a `where` does not take, is no
// culprit. A float batch is searched in float arithmetic, so that exp(90) is inf here too. Costs a few plain
// evaluations in memory of 8 bytes an expression and token; meant for the moment when something went wrong.
#pragma once

#include <optional>

#include <gradwire/gradient/culprit_search.hpp>
#include <gradwire/gradient/formula_text.hpp>
#include <gradwire/gradient/gradient.hpp>
#include <gradwire/gradient/report.hpp>

namespace gradwire::inline v0 {

// A sub-expression and what it came to at the place.
struct operand_value {
  std::string expression{};
  double value = 0;
};

struct culprit {
  using report_tag = void;
  bool in_gradient = false;  // the loss is finite, its derivative is not
  double loss = 0;
  extent level = extent::token;  // of the sub-expression: what follows is −1 where it does not apply
  std::int64_t datum = -1, token = -1, candidate = -1, group = -1;
  std::int64_t token_id = -1;
  std::string expression{};  // "exp(logprobs - old_logprobs)"; a column's name where the data themselves are not finite
  double value = 0;          // of the sub-expression; in_gradient: of its derivative with respect to the variable
  std::vector<operand_value> operands{};  // what went in, then the columns below at that place
  std::string variable{};

  // "exp(logprobs - old_logprobs) is inf where logprobs - old_logprobs = 800"
  std::string what(const char* before_where = " ") const {
    std::string all = (in_gradient ? "the slope of " + expression : expression) + " is " + detail::brief(value);
    for (std::size_t i = 0; i < operands.size(); ++i)
      all += (i == 0 ? std::string(before_where) + "where " : ", ") + operands[i].expression + " = " +
             detail::brief(operands[i].value, 9);
    return all;
  }
  std::string where() const {
    std::string all;
    const auto add = [&](const char* name, std::int64_t which) {
      if (which >= 0) all += (all.empty() ? "" : ", ") + std::string(name) + " " + std::to_string(which);
    };
    add("group", datum < 0 ? group : -1);
    add("datum", datum);
    add("token", token);
    add("candidate", candidate);
    if (token_id >= 0) all += " (id " + std::to_string(token_id) + ")";
    return all.empty() ? "the whole batch" : all;
  }
  std::string consequence() const {
    return in_gradient ? "so dL/d(" + variable + ") is not finite" : "so the loss is " + detail::brief(loss);
  }
  std::string text() const { return where() + ": " + what("\n  ") + ",\n  " + consequence() + "\n"; }
};

namespace detail {

// Fills in a culprit from what the search found: its text, its place, and what went in.
class culprit_writer {
 public:
  culprit_writer(const culprit_search& search, culprit& to)
      : search_(search), tree_(search.tree()), data_(search.data()), to_(to) {}

  void write(const culprit_search::found_at& where) {
    const formula::tree_node& n = tree_[where.node];
    to_.expression = formula::text(tree_, where.node);
    to_.value = where.value;
    to_.level = n.level;
    std::size_t token = where.element;
    if (n.level == extent::candidate) {
      to_.candidate = static_cast<std::int64_t>(where.element / data_.padded);
      token = where.element % data_.padded;
    }
    if (n.level <= extent::token) {
      to_.datum = static_cast<std::int64_t>(data_.sequence_of[token]);
      to_.token = static_cast<std::int64_t>(token - data_.offset[data_.sequence_of[token]]);
    }
    if (n.level == extent::sequence) to_.datum = static_cast<std::int64_t>(where.element);
    if (n.level == extent::group) to_.group = static_cast<std::int64_t>(where.element);
    if (n.kind != formula::node_kind::operation) return;
    for (int i = 0; i < n.operands; ++i) tell(n.operand[i], n.level, where.element);
    for (int i = 0; i < n.operands; ++i) tell_columns(n.operand[i], n.level, where.element);
  }

 private:
  void tell(int node, extent level, std::size_t element) {
    if (tree_[node].kind == formula::node_kind::constant) return;
    for (const int each : told_)
      if (each == node) return;
    told_.push_back(node);
    const std::size_t at = data_.coarser(level, element, tree_[node].level);
    to_.operands.push_back({formula::text(tree_, node), search_.value(node, at)});
  }
  void tell_columns(int node, extent level, std::size_t element) {
    const formula::tree_node& n = tree_[node];
    if (n.kind == formula::node_kind::field) tell(node, level, element);
    if (n.kind != formula::node_kind::operation) return;
    for (int i = 0; i < n.operands; ++i) tell_columns(n.operand[i], n.level, data_.coarser(level, element, n.level));
  }

  const culprit_search& search_;
  const formula::tree& tree_;
  const formula::table& data_;
  culprit& to_;
  std::vector<int> told_;
};

// What an evaluation came to, of any value type.
struct evaluated {
  std::string_view variable{};  // the field of wrt
  double loss = 0;
  std::int64_t bad = -1;  // the first element of the gradient that is not finite, −1 if there is none
  double slope = 0;       // its value
  bool finite() const { return loss - loss == 0 && bad < 0; }
};
template <class T>
evaluated evaluated_as(std::string_view variable, double loss, const column<T>& slope) {
  evaluated found{.variable = variable, .loss = loss, .bad = first_not_finite(slope)};
  if (found.bad >= 0) found.slope = static_cast<double>(slope.data()[found.bad]);
  return found;
}

// No template, so that a program can have it in one of its files: all that depends on types is in the arguments.
[[gnu::cold, gnu::noinline]] inline std::optional<culprit> search_culprit(const formula::tree& formula,
                                                                          const formula::table& data,
                                                                          const batch_state& state,
                                                                          const evaluated& came) {
  if (came.finite()) return std::nullopt;
  culprit found;
  found.loss = came.loss;
  found.variable = came.variable;
  found.in_gradient = came.loss - came.loss == 0;
  const culprit_search search(formula, data, state.kind == number_kind::float32);
  const int field = formula.find_field(came.variable);
  const auto bad = static_cast<std::size_t>(came.bad);
  culprit_search::found_at where;
  if (!found.in_gradient)
    where = search.in_value();
  else if (field >= 0)
    where = search.in_slope(field, bad);
  if (where.node >= 0) {
    culprit_writer(search, found).write(where);
  } else if (field >= 0 && came.bad >= 0) {  // finite here, at the edge of what the type holds: the place at least
    culprit_writer(search, found).write({field, bad, came.slope});
    found.in_gradient = true;
  } else {
    found.level = extent::batch;
    found.expression = "the loss";
    found.value = came.loss;
  }
  if (found.token >= 0) {
    const token_core& tokens = *state.tokens->rows[static_cast<std::size_t>(found.datum)];
    const auto t = static_cast<std::size_t>(found.token), k = static_cast<std::size_t>(found.candidate);
    found.token_id = found.candidate < 0 ? tokens.targets()[t] : tokens.candidate_ids[t * tokens.candidates + k];
  }
  return found;
}

// error(errc::data) whose details name datum, token and value, with the sub-expression as the column.
[[noreturn, gnu::cold, gnu::noinline]] inline void throw_culprit(const culprit& found, std::string_view then = {}) {
  error_details details;
  details.datum = found.datum;
  details.token = found.token;
  details.column = found.expression;
  details.value = brief(found.value);
  throw error(errc::data, found.where() + ": " + found.what() + ", " + found.consequence() + std::string(then),
              std::move(details));
}

}  // namespace detail

// For a loss that is known at run time: its tree, and what the engine found for this batch and the field of that name.
template <class Batch>
std::optional<culprit> find_culprit(const formula::tree& loss, double value,
                                    const column<typename Batch::value_type>& slope, std::string_view variable,
                                    at_t<Batch> at) {
  const auto came = detail::evaluated_as(variable, value, slope);
  if (came.finite()) return std::nullopt;
  return detail::search_culprit(loss, formula::table_of(at.batch), *detail::batch_access::state(at.batch), came);
}

// Nothing where loss and gradient are finite.
template <class Loss, class Variable, class Batch>
std::optional<culprit> find_culprit(const Loss& loss, wrt_t<Variable> variable, at_t<Batch> at) {
  const auto found = value_and_gradient(loss, variable, at);
  return find_culprit(reflect(as_objective(loss).loss), found.loss, found.slope, Variable::name.view(), at);
}
template <class Loss, class Batch>
std::optional<culprit> find_culprit(const Loss& loss, at_t<Batch> at) {
  return find_culprit(loss, wrt(fields::logprobs), at);
}

// For what an evaluation found: nothing where value and slope are finite, at the cost of one scan.
template <class Loss, class Variable, class Batch>
void throw_if_not_finite(const Loss& loss, wrt_t<Variable>, at_t<Batch> at, double value,
                         const column<typename Batch::value_type>& slope) {
  const auto came = detail::evaluated_as(Variable::name.view(), value, slope);
  if (came.finite()) return;
  detail::throw_culprit(*detail::search_culprit(reflect(as_objective(loss).loss), formula::table_of(at.batch),
                                                *detail::batch_access::state(at.batch), came));
}

}  // namespace gradwire::inline v0
