// SPDX-License-Identifier: Apache-2.0
// What a loss is, from its type and not from prose: the formula, its derivative, the columns it reads, its reductions
// with their divisors, metrics, passes over the tokens, what it breaks of the contract, and when its value is 0 though
// its gradient is not.
//
//   std::cout << explain(my_grpo{});                   // text
//   std::cout << explain(my_grpo{}).markdown();        // with LaTeX
//   explain(value_loss{}, wrt(values))                 // another field
#pragma once

#include <gradwire/gradient/arguments.hpp>
#include <gradwire/gradient/explain_markdown.hpp>
#include <gradwire/gradient/plan.hpp>

namespace gradwire::inline v0 {

// Of a tree, where there is no type any more.
inline explanation explain(const formula::tree& formula, explain_options options = {}) {
  if (options.variable.empty()) options.variable = formula::standard_variable(formula);
  return explanation(formula, std::move(options));
}

namespace formula {
template <class Loss>
constexpr auto variable_of_loss() {
  using formula_type = typename decltype(as_objective(std::declval<const Loss&>()))::loss_type;
  if constexpr (requires { Loss::variable; })
    return Loss::variable;
  else if constexpr (active<formula_type, std::remove_const_t<decltype(fields::candidate_logprobs)>> &&
                     !active<formula_type, std::remove_const_t<decltype(fields::logprobs)>>)
    return fields::candidate_logprobs;
  else if constexpr (active<formula_type, std::remove_const_t<decltype(fields::values)>>)
    return fields::values;
  else
    return fields::logprobs;
}
}  // namespace formula

template <class Loss, class Variable>
explanation explain(const Loss& loss, wrt_t<Variable>) {
  using objective_type = decltype(as_objective(loss));
  using plan =
      formula::plan<typename formula::bound<typename objective_type::loss_type>::type, formula::list<>, Variable>;
  explain_options options;
  if constexpr (!expression<Loss> && !objective_like<Loss>) options.name = formula::op_name<Loss>();
  options.variable = Variable::info.name;
  options.passes = plan::passes;
  return explain(reflect(loss), std::move(options));
}
template <class Loss>
requires(!std::is_same_v<Loss, formula::tree>) explanation explain(const Loss& loss) {
  return explain(loss, wrt(formula::variable_of_loss<Loss>()));
}

}  // namespace gradwire::inline v0
