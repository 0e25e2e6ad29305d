// SPDX-License-Identifier: Apache-2.0
// What has to be computed, in which order: the reductions of a formula sorted by how many sweeps over the tokens must
// be complete before each, and whether the gradient can be written in the same sweep that computes the value.
#pragma once

#include <gradwire/gradient/program.hpp>

namespace gradwire::inline v0 {
namespace formula {

template <class...>
struct operands;

// Every reduction below E, operands first.
template <class List, class E>
struct gather_crossings {
  using type = List;
};
template <class List>
struct gather_crossings<List, operands<>> {
  using type = List;
};
template <class List, class First, class... Rest>
struct gather_crossings<List, operands<First, Rest...>> {
  using type = typename gather_crossings<typename gather_crossings<List, First>::type, operands<Rest...>>::type;
};
template <class List, class Op, class... Xs>
struct gather_crossings<List, node<Op, Xs...>> {
  using below = typename gather_crossings<List, operands<Xs...>>::type;
  using type = typename std::conditional_t<is_crossing<Op>, tag<append_once<below, node<Op, Xs...>>>, tag<below>>::type;
};

// The reductions through which a gradient flows from E to the variable, operands first.
template <class List, class E, class Variable>
struct gather_active {
  using type = List;
};
template <class List, class Variable>
struct gather_active<List, operands<>, Variable> {
  using type = List;
};
template <class List, class First, class... Rest, class Variable>
struct gather_active<List, operands<First, Rest...>, Variable> {
  using type =
      typename gather_active<typename gather_active<List, First, Variable>::type, operands<Rest...>, Variable>::type;
};
template <class List, class Op, class... Xs, class Variable>
requires active<node<Op, Xs...>, Variable>
struct gather_active<List, node<Op, Xs...>, Variable> {
  using below = typename gather_active<List, operands<Xs...>, Variable>::type;
  using type = typename std::conditional_t<is_crossing<Op>, tag<append_once<below, node<Op, Xs...>>>, tag<below>>::type;
};

template <class List, class A, class B, class Variable>
requires active<node<straight_through_op, A, B>, Variable>
struct gather_active<List, node<straight_through_op, A, B>, Variable> : gather_active<List, B, Variable> {
};

template <class C>
struct crossing_traits;
template <class X, class... Parameters>
struct first_parameter {
  using type = X;
};
template <class X, class First, class... Rest>
struct first_parameter<X, First, Rest...> {
  using type = First;
};
template <class Op, class X, class... Parameters>
struct crossing_traits<node<Op, X, Parameters...>> {
  using parameter = typename first_parameter<X, Parameters...>::type;  // how many are selected; without one the body
  using op = Op;
  using body = X;
  static constexpr extent from = Op::body, to = Op::output;
  static constexpr bool coupled = requires { typename Op::coupled; };
  static constexpr bool selects = requires { typename Op::selects; };
  static constexpr bool statistical = requires { typename Op::statistic; };
  // Does a value need elements of the whole batch, other than by adding them up?
  static constexpr bool couples_batch = coupled || requires { requires Op::over == extent::batch; };
  static constexpr int rank = formula::highest<X, Parameters...>();  // sweeps that must be complete before the body
};
template <class C>
inline constexpr int body_rank = crossing_traits<C>::rank;
template <class C>
using body_of = typename crossing_traits<C>::body;

template <class List>
struct bodies;
template <class... Cs>
struct bodies<list<Cs...>> {
  using type = list<body_of<Cs>...>;
};

constexpr int most() { return 0; }
template <class... Rest>
constexpr int most(int first, Rest... rest) {
  const int other = most(rest...);
  return first > other ? first : other;
}

template <class Root, class Metrics, class Variable_>
struct plan;
template <class Root_, class... Metrics, class Variable_>
struct plan<Root_, list<Metrics...>, Variable_> {
  using root = Root_;
  using variable = Variable_;
  using loss_crossings = typename gather_crossings<list<>, Root_>::type;
  using crossings = typename gather_crossings<loss_crossings, operands<Metrics...>>::type;
  using active_crossings = typename gather_active<list<>, Root_, Variable_>::type;

  template <class C>
  static constexpr bool from_tokens = crossing_traits<C>::from == extent::token;
  template <class C>
  static constexpr bool from_candidates = crossing_traits<C>::from == extent::candidate;
  template <class C>
  static constexpr bool differentiated = contains<C, active_crossings>;

  // Sweeps that the values need.
  template <class... Cs>
  static constexpr int count_sweeps(list<Cs...>) {
    return most((from_tokens<Cs> ? body_rank<Cs> + 1 : 0)...);
  }
  static constexpr int sweeps = count_sweeps(crossings{});
  // The last sweep with a gradient, and the first.
  template <class... Cs>
  static constexpr int last_gradient(list<Cs...>) {
    return most((from_tokens<Cs> && differentiated<Cs> ? body_rank<Cs> : 0)...);
  }
  static constexpr int gradient_rank = last_gradient(loss_crossings{});
  template <class... Cs>
  static constexpr int count_gradients(int at, list<Cs...>) {
    return ((from_tokens<Cs> && differentiated<Cs> && body_rank<Cs> == at ? 1 : 0) + ... + 0);
  }
  static constexpr int gradient_sweeps() {
    int n = 0;
    for (int r = 0; r <= gradient_rank; ++r) n += count_gradients(r, loss_crossings{}) != 0;
    return n;
  }
  // The adjoint of every reduction of that sweep is known from the data: value and gradient in one.
  static constexpr bool fused = gradient_sweeps() > 0 && slope_is_data<Root_, Variable_, gradient_rank>;
  static constexpr int passes = sweeps + gradient_sweeps() - (fused ? 1 : 0);

  // Nothing below the batch reads a value of the whole batch, and the adjoints of what is added up over it are data.
  // Then a few groups at a time go through every sweep while they are in the cache.
  template <class... Cs>
  static constexpr bool parts_are_independent(list<Cs...>) {
    return !((crossing_traits<Cs>::couples_batch || reads_batch_reduction<body_of<Cs>>) || ...);
  }
  static constexpr bool by_parts =
      passes > 1 && parts_are_independent(crossings{}) && slope_is_data<Root_, Variable_, 0, extent::batch>;

  // The reductions whose values sweep Rank computes, and those whose gradient it writes.
  template <int Rank>
  struct at_rank {
    template <class C>
    struct valued {
      static constexpr bool value = from_tokens<C> && body_rank<C> == Rank;
    };
    template <class C>
    struct sloped {
      static constexpr bool value = from_tokens<C> && body_rank<C> == Rank && differentiated<C>;
    };
    template <class C>
    struct coarse {
      static constexpr bool value = !from_tokens<C> && !from_candidates<C> && body_rank<C> == Rank;
    };
    template <class C>
    struct coarse_sloped {
      static constexpr bool value = coarse<C>::value && differentiated<C>;
    };
  };
  template <int Rank>
  using values_at = typename filter<at_rank<Rank>::template valued, crossings>::type;
  template <int Rank>
  using slopes_at = typename filter<at_rank<Rank>::template sloped, crossings>::type;
  template <int Rank>
  using coarse_at = typename filter<at_rank<Rank>::template coarse, crossings>::type;
  template <int Rank>
  using coarse_slopes_at = typename filter<at_rank<Rank>::template coarse_sloped, crossings>::type;
};

}  // namespace formula
}  // namespace gradwire::inline v0
