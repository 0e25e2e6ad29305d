// SPDX-License-Identifier: Apache-2.0
// A loss with one column in place of another, everywhere in its formula and its metrics; parameters and lets stay.
//
//   forward_backward_custom(data, per_token_advantage(verl::vanilla{}));          token_advantage instead of advantage
//   substitute(loss, fields::old_logprobs, fields::sampler_logprobs)              any field by any other
//
// What stood once a sequence becomes one value a token where the new column is per token, and so does all that is made
// of it. An x per sequence that stood for its value at every token, x·Σ w, is summed over the tokens instead. A loss
// that needs x once a sequence (a mean of sequences of an x that no sum over tokens precedes) does not compile; a
// metric that does takes the mean over the tokens.
#pragma once

#include <gradwire/expression.hpp>

namespace gradwire::inline v0 {
namespace formula {

template <class From, class To, bool OfMetrics = false>
struct substitution {
  template <class E>
  constexpr auto operator()(const E& e) const {
    if constexpr (std::is_same_v<E, From>)
      return To{};
    else
      return e;
  }
  template <class Op, class A>
  constexpr auto operator()(const node<Op, A>& x) const {
    const auto a = (*this)(x.a);
    if constexpr (one_a_sequence<Op>() && decltype(a)::level < extent::sequence) {
      static_assert(OfMetrics,
                    "gradwire: the substituted column has several values a sequence, but this loss needs one: it "
                    "reduces an expression of that column over sequences without a sum over tokens before");
      const auto mean = mean_over_tokens(a);
      return node<Op, std::remove_const_t<decltype(mean)>>{mean};
    } else {
      return node<Op, std::remove_const_t<decltype(a)>>{a};
    }
  }
  template <class Op, class A, class B>
  constexpr auto operator()(const node<Op, A, B>& x) const {
    const auto a = (*this)(x.a);
    if constexpr (std::is_same_v<Op, multiply_op> &&
                  std::is_same_v<B, std::remove_const_t<decltype(terminals::weight_sum)>> &&
                  A::level == extent::sequence && decltype(a)::level == extent::token)
      return sum_over_tokens(a);
    else
      return made<Op>(a, (*this)(x.b));
  }
  template <class Op, class A, class B, class C>
  constexpr auto operator()(const node<Op, A, B, C>& x) const {
    return made<Op>((*this)(x.a), (*this)(x.b), (*this)(x.c));
  }
  template <fixed_string Name, class X>
  constexpr auto operator()(const metric_t<Name, X>& m) const {
    return metric<Name>((*this)(m.x));
  }
  template <class... Metrics>
  constexpr auto operator()(const metric_list<Metrics...>& list) const {
    if constexpr (sizeof...(Metrics) == 0)
      return list;
    else
      return join(make_metrics((*this)(list.first)), (*this)(list.rest));
  }

 private:
  template <class Op>
  static consteval bool one_a_sequence() {
    if constexpr (requires { Op::body; })
      return Op::body == extent::sequence;
    else
      return false;
  }
  template <class Op, class... Xs>
  static constexpr node<Op, Xs...> made(const Xs&... xs) {
    return {xs...};
  }
};

}  // namespace formula

template <class Loss, class From, class To>
constexpr auto substitute(const Loss& loss, From, To) {
  const auto found = as_objective(loss);
  return formula::with_metrics(formula::substitution<From, To>{}(found.loss),
                               formula::substitution<From, To, true>{}(found.metrics));
}

// For estimators that give every token its own advantage: GAE, rewards of turns.
template <class Loss>
constexpr auto per_token_advantage(const Loss& loss) {
  return substitute(loss, fields::advantage, fields::token_advantage);
}

}  // namespace gradwire::inline v0
