// SPDX-License-Identifier: Apache-2.0
// A loss with the numbers that a researcher wants to see beside it. A bare formula is an objective without metrics.
// Objectives add and scale like formulas; their metrics are kept.
#pragma once

#include <gradwire/expression/lint.hpp>
#include <gradwire/expression/reductions.hpp>

namespace gradwire::inline v0 {

template <fixed_string Name, class X>
struct metric_t {
  static constexpr auto name = Name;
  X x;
};

// metric<"kl">(mean_over_all_tokens(kl)): a batch-level value; absent from the result when there is nothing to average.
template <fixed_string Name, expression X>
constexpr auto metric(const X& x) {
  static_assert(
      X::level == extent::batch,
      "gradwire: a metric is one number; end it with mean_over_all_tokens(...) or another reduction to the batch");
  return metric_t<Name, expression_of<X>>{as_expression(x)};
}

template <fixed_string Name, number X>
constexpr auto metric(const X& x) {
  static_assert(expression<X>,
                "gradwire: a metric is a formula over the batch; what this one says is a number that you know already");
  return metric_t<Name, constant>{{static_cast<double>(x)}};
}
template <class M>
inline constexpr bool is_metric = false;
template <fixed_string Name, class X>
inline constexpr bool is_metric<metric_t<Name, X>> = true;

template <class... Metrics>
struct metric_list;
template <>
struct metric_list<> {};
template <class First, class... Rest>
struct metric_list<First, Rest...> {
  [[no_unique_address]] First first;
  [[no_unique_address]] metric_list<Rest...> rest;
};

template <class Loss, class... Metrics>
struct objective_t {
  using objective_tag = void;
  using loss_type = Loss;
  [[no_unique_address]] Loss loss;
  [[no_unique_address]] metric_list<Metrics...> metrics;
};

namespace formula {
constexpr metric_list<> make_metrics() { return {}; }
template <class First, class... Rest>
constexpr metric_list<First, Rest...> make_metrics(const First& first, const Rest&... rest) {
  return {first, make_metrics(rest...)};
}
template <class... B>
constexpr auto join(const metric_list<>&, const metric_list<B...>& b) {
  return b;
}
template <class First, class... A, class... B>
constexpr metric_list<First, A..., B...> join(const metric_list<First, A...>& a, const metric_list<B...>& b) {
  return {a.first, join(a.rest, b)};
}
template <class Loss, class... Ms>
constexpr objective_t<Loss, Ms...> with_metrics(const Loss& loss, const metric_list<Ms...>& metrics) {
  return {loss, metrics};
}
}  // namespace formula

template <class O>
concept objective_like = requires {
  typename std::remove_cvref_t<O>::objective_tag;
};

template <expression Loss, class... Metrics>
constexpr auto objective(const Loss& loss, const Metrics&... metrics) {
  static_assert((is_metric<Metrics> && ...),
                "gradwire: objective(loss, metrics...) takes metrics after the loss; give each a name: "
                "metric<\"name\">(formula)");
  if constexpr ((is_metric<Metrics> && ...))
    return objective_t<expression_of<Loss>, Metrics...>{as_expression(loss), formula::make_metrics(metrics...)};
  else
    return objective_t<expression_of<Loss>>{as_expression(loss), {}};  // one error is enough
}

// What a loss means: the formula itself, or what its call returns.
template <class L>
constexpr auto as_objective(const L& loss) {
  if constexpr (objective_like<L>) {
    return loss;
  } else if constexpr (expression<L>) {
    return objective(loss);
  } else {
    static_assert(
        requires { loss(); },
        "gradwire: a loss is a formula, an objective, or an aggregate whose call without arguments returns one");
    return as_objective(loss());
  }
}

template <class A, class B>
concept summable = (objective_like<A> && (objective_like<B> || expression<B>)) || (objective_like<B> && expression<A>);

template <class A, class B>
requires summable<A, B>
constexpr auto operator+(const A& a, const B& b) {
  const auto x = as_objective(a);
  const auto y = as_objective(b);
  static_assert(
      decltype(x.loss)::level == decltype(y.loss)::level,
      "gradwire: two extents that do not join: a loss is one number for the batch, and what is added to it is "
      "still per candidate, token, sequence or group; reduce it with mean_over_tokens(...), "
      "mean_over_sequences(...) or another reduction first");
  return formula::with_metrics(x.loss + y.loss, formula::join(x.metrics, y.metrics));
}
template <number N, objective_like O>
constexpr auto operator*(N scale, const O& o) {
  return formula::with_metrics(scale * o.loss, o.metrics);
}
template <objective_like O, number N>
constexpr auto operator*(const O& o, N scale) {
  return scale * o;
}

// A preset that follows its source against the contract says so, with the reason; the generic test asserts that it
// does:
//   using breaks_contract = broken<breaks<rule::mask_isolation, "the quadratic runs over all positions">>;
enum class rule : unsigned char {
  on_policy_identity,      // at logprobs = old = sampler, the gradient is −A·(the reduction's weight)
  permutation_invariance,  // of sequences (within pairs and groups: of groups)
  padding_invariance,      // masked tokens appended change nothing
  mask_isolation,          // nothing at a masked position changes anything
  scale,                   // L(cA) = c·L(A), c > 0
  zero_advantage,          // A = 0 contributes no gradient
  empty,                   // an all-masked sequence contributes 0; an all-masked batch is 0 without metrics
  equal_rewards,           // a group with equal rewards has advantage exactly 0
  chunk_invariance         // the sum over chunks of the batch, with the whole batch's divisors, is the whole
};

template <rule Rule, fixed_string Reason>
struct breaks {
  static constexpr rule broken_rule = Rule;
  static constexpr auto reason = Reason;
};
template <class... Breaks>
struct broken {};

}  // namespace gradwire::inline v0
