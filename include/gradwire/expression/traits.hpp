// SPDX-License-Identifier: Apache-2.0
// Questions about a formula's type, answered by the compiler.
#pragma once

#include <gradwire/expression/operators.hpp>

namespace gradwire::inline v0 {
struct divide_or_zero_op;  // functions.hpp

namespace formula {

template <class Op>
inline constexpr bool is_detached = requires {
  requires Op::detached;
};
template <class Op>
inline constexpr bool is_crossing = requires {
  typename Op::crossing;
};

template <class Op>
inline constexpr bool is_linear = requires {
  requires Op::linear;
};

// Does E depend on the column Variable in a way that carries a gradient?
template <class E, class Variable>
inline constexpr bool active = std::is_same_v<E, Variable>;
template <class Op, class... Xs, class Variable>
inline constexpr bool active<node<Op, Xs...>, Variable> = !is_detached<Op> && (active<Xs, Variable> || ...);
template <class Op, class A, class B, class Variable>
requires requires { Op::slope_of_second; }
inline constexpr bool active<node<Op, A, B>, Variable> = active<B, Variable>;

// Does E read the column Variable at all, also behind stop_gradient or in a comparison?
template <class E, class Variable>
inline constexpr bool reads = std::is_same_v<E, Variable>;
template <class Op, class... Xs, class Variable>
inline constexpr bool reads<node<Op, Xs...>, Variable> = (reads<Xs, Variable> || ...);

// Does E read the trainer's current logprobs (of targets or of candidates), whatever the variable of differentiation?
template <class E>
inline constexpr bool reads_logprobs = [] {
  if constexpr (requires { E::name; })
    return E::name.view() == "logprobs" || E::name.view() == "candidate_logprobs";
  else
    return false;
}();
template <class Op, class... Xs>
inline constexpr bool reads_logprobs<node<Op, Xs...>> = (reads_logprobs<Xs> || ...);

// Has E been reduced over tokens somewhere inside?
template <class E>
inline constexpr bool reduced_over_tokens = false;
template <class Op, class... Xs>
inline constexpr bool reduced_over_tokens<node<Op, Xs...>> = (is_crossing<Op> &&
                                                              [] {
                                                                if constexpr (is_crossing<Op>)
                                                                  return Op::body == extent::token;
                                                                else
                                                                  return false;
                                                              }()) ||
                                                             (reduced_over_tokens<Xs> || ...);

// Sweeps over the tokens that must be complete before E can be evaluated.
template <class E>
inline constexpr int rank = 0;
template <class First, class... Rest>
constexpr int highest() {
  int most = rank<First>;
  ((most = rank<Rest> > most ? rank<Rest> : most), ...);
  return most;
}
template <class Op, class... Xs>
constexpr int rank_of() {
  if constexpr (is_crossing<Op>)
    return highest<Xs...>() + (Op::body == extent::token ? 1 : 0);
  else
    return highest<Xs...>();
}
template <class Op, class... Xs>
inline constexpr int rank<node<Op, Xs...>> = rank_of<Op, Xs...>();

// Is the slope of E with respect to every active reduction below it known before the sweep of that rank, from the data
// alone? Then the adjoint of a reduction over tokens is a constant of the batch, and value and gradient take one sweep.
// `Reached` is the extent of the reductions at which the question ends: their own bodies are not looked into.
template <class E, class Variable, int Rank, extent Reached = extent::sequence>
inline constexpr bool slope_is_data = true;
template <class E, class Variable, int Rank>
inline constexpr bool is_known = !reads<E, Variable> && rank<E> <= Rank;
template <class Op, class Variable, int Rank, extent Reached, class A, class B>
constexpr bool bilinear_slope_is_data() {
  return (slope_is_data<A, Variable, Rank, Reached> && is_known<B, Variable, Rank>) ||
         (std::is_same_v<Op, multiply_op> && slope_is_data<B, Variable, Rank, Reached> && is_known<A, Variable, Rank>);
}
template <class Op>
constexpr bool ends_at(extent reached) {  // a reduction over tokens, or one to the extent in question
  return reached == extent::batch ? Op::output == extent::batch : Op::body <= extent::token;
}
template <class Op, class Variable, int Rank, extent Reached, class... Xs>
constexpr bool slope_is_data_of() {
  if constexpr (is_detached<Op> || !(active<Xs, Variable> || ...))
    return true;
  else if constexpr (is_crossing<Op>)
    return ends_at<Op>(Reached) || (Op::linear && (slope_is_data<Xs, Variable, Rank, Reached> && ...));
  else if constexpr (is_linear<Op>)
    return (slope_is_data<Xs, Variable, Rank, Reached> && ...);
  else if constexpr (requires { requires Op::bilinear; })
    return bilinear_slope_is_data<Op, Variable, Rank, Reached, Xs...>();
  else
    return false;
}
template <class Op, class... Xs, class Variable, int Rank, extent Reached>
inline constexpr bool slope_is_data<node<Op, Xs...>, Variable, Rank, Reached> =
    slope_is_data_of<Op, Variable, Rank, Reached, Xs...>();

// Does the body of a reduction over tokens read, with a gradient, the result of another?
template <class Variable, class... Xs>
constexpr bool reads_active_reduction() {
  return ((rank<Xs> > 0 && active<Xs, Variable>) || ...);
}

// Can the adjoint of a reduction over tokens be exactly 0 in a sequence that has unmasked tokens: behind a condition, a
// clamp, a factor? `Root` is where the adjoint begins. Sums and means whose divisor is of the batch's shape keep it.
template <class E, class Variable>
inline constexpr bool may_vanish = false;
template <class B>
inline constexpr bool is_shape_value = requires {
  B::what;
};
template <class Op>
inline constexpr bool is_over_unmasked = requires {
  requires Op::kind::over_unmasked;
};
template <class Op>
inline constexpr bool is_over_counted = requires {
  requires Op::kind::over_counted;
};
template <class Quotient, class Variable>
inline constexpr bool keeps_adjoint = false;
template <class Op, class A, class B, class Variable>
inline constexpr bool keeps_adjoint<node<Op, A, B>, Variable> = is_shape_value<B> && !may_vanish<A, Variable>;

template <class Op, class Variable, class... Xs>
constexpr bool may_vanish_below() {
  if constexpr (!active<node<Op, Xs...>, Variable>)
    return false;
  else if constexpr (is_crossing<Op>) {
    if constexpr (Op::body <= extent::token)
      return !is_over_unmasked<Op> || reads_active_reduction<Variable, Xs...>();
    else
      return !is_over_counted<Op> || (may_vanish<Xs, Variable> || ...);
  } else if constexpr (std::is_base_of_v<divide_or_zero_op, Op>)
    return !keeps_adjoint<node<Op, Xs...>, Variable>;
  else
    return !is_linear<Op> || (may_vanish<Xs, Variable> || ...);
}
template <class Op, class... Xs, class Variable>
inline constexpr bool may_vanish<node<Op, Xs...>, Variable> = may_vanish_below<Op, Variable, Xs...>();

// Does E read a reduction to the batch?
template <class E>
inline constexpr bool reads_batch_reduction = false;
template <class Op>
constexpr bool reduces_to_batch() {
  if constexpr (is_crossing<Op>)
    return Op::output == extent::batch;
  else
    return false;
}
template <class Op, class... Xs>
inline constexpr bool reads_batch_reduction<node<Op, Xs...>> = reduces_to_batch<Op>() ||
                                                               (reads_batch_reduction<Xs> || ...);

}  // namespace formula
}  // namespace gradwire::inline v0
