// SPDX-License-Identifier: Apache-2.0
// Value and gradient of a loss on a batch:
//
//   auto [loss, slope] = value_and_gradient(my_grpo{}, wrt(logprobs), at(data));      // slope: dL/dlogprob per token
//   auto all = evaluate(my_grpo{}, wrt(logprobs), at(data));                          // and the metrics
//   … , into(buffer), on(executor), with_scratch(workspace)                           // in any order, optional
//
// The data must carry the field in wrt(…) and every field that the loss reads; the compiler says which are missing.
// Throws error(errc::data) where weights that a mean divides by have a sum ≤ 0 without all being 0.
#pragma once

#include <gradwire/gradient/run.hpp>

namespace gradwire::inline v0 {

// Value, gradient and metrics.
template <class Isa = native_isa, class Loss, class Variable, class Batch, class... Options>
evaluation<typename Batch::value_type> evaluate(const Loss& loss, wrt_t<Variable>, at_t<Batch> at,
                                                const Options&... options) {
  evaluation<typename Batch::value_type> result;
  if constexpr (formula::check_loss<Loss, Variable, Batch>::ok &&
                formula::check_words<wrt_t<Variable>, at_t<Batch>, Options...>())
    formula::run_loss<true, Isa, Loss, Variable>(loss, at.batch, result, options...);
  return result;
}

// Value and gradient only: metrics cost nothing.
template <class Isa = native_isa, class Loss, class Variable, class Batch, class... Options>
value_and_slope<typename Batch::value_type> value_and_gradient(const Loss& loss, wrt_t<Variable>, at_t<Batch> at,
                                                               const Options&... options) {
  evaluation<typename Batch::value_type> result;
  if constexpr (formula::check_loss<Loss, Variable, Batch>::ok &&
                formula::check_words<wrt_t<Variable>, at_t<Batch>, Options...>())
    formula::run_loss<false, Isa, Loss, Variable>(loss, at.batch, result, options...);
  return {result.loss, std::move(result.slope)};
}

// A call without wrt(…) or at(…): the sentence that says so, and nothing else.
template <class Isa = native_isa, class Loss, class Variable, class Data, class... Options>
requires(!formula::is_wrt<Variable>::value ||
         !formula::is_at<Data>::value) evaluation<float> evaluate(const Loss&, const Variable&, const Data&,
                                                                  const Options&...) {
  formula::check_words<Variable, Data, Options...>();
  return {};
}
template <class Isa = native_isa, class Loss, class Variable, class Data, class... Options>
requires(!formula::is_wrt<Variable>::value ||
         !formula::is_at<Data>::value) value_and_slope<float> value_and_gradient(const Loss&, const Variable&,
                                                                                 const Data&, const Options&...) {
  formula::check_words<Variable, Data, Options...>();
  return {};
}

// Sweeps over the tokens that value and gradient of a loss take: a constant of its type.
template <class Loss, class Field>
consteval int token_passes(Field) {
  using objective_type = decltype(as_objective(std::declval<const Loss&>()));
  return formula::plan<typename formula::bound<typename objective_type::loss_type>::type, formula::list<>,
                       Field>::passes;
}

}  // namespace gradwire::inline v0
