// SPDX-License-Identifier: Apache-2.0
// What one sweep over the tokens consists of, by type: which reductions, which subexpressions, which of them come in
// from coarser extents, and which inputs are differentiated.
#pragma once

#include <gradwire/gradient/plan.hpp>

namespace gradwire::inline v0 {
namespace formula {

template <extent Level>
struct coarser_than {
  template <class E>
  struct test {
    static constexpr bool value = E::level > Level;
  };
};
// Does a sum over candidates read the per-candidate variable itself, not only through a value of the token?
template <class E, class Variable>
inline constexpr bool spreads = true;
template <class Kind, class X, class Variable>
inline constexpr bool spreads<node<reduce_op<extent::candidate, extent::token, Kind>, X>, Variable> =
    Variable::level == extent::candidate && dependence<X, candidate_inputs<Variable>> != 0;

template <class Variable>
struct is_input {  // of a token's formula: the variable itself, and reductions that depend on it
  template <class E>
  struct test {
    static constexpr bool value = is_leaf<E, extent::token> && active<E, Variable> && spreads<E, Variable>;
  };
};

template <extent Level>
struct column_leaf {
  template <class E>
  struct test {
    static constexpr bool value = E::level == Level && requires { E::wire_name; };
  };
};

// What candidate formulas read from the token's frame belongs to the token's program.
template <class C>
struct from_token {
  using nodes = program<list<body_of<C>>, extent::candidate>;
  using type = typename filter<coarser_than<extent::candidate>::template test, nodes>::type;
};
template <class List, class Nodes>
struct token_needs;
template <class List>
struct token_needs<List, list<>> {
  using type = List;
};
template <class List, class First, class... Rest>
struct token_needs<List, list<First, Rest...>> {
  using type = typename token_needs<List, list<Rest...>>::type;
};
template <class List, class Kind, class X, class... Rest>
struct token_needs<List, list<node<reduce_op<extent::candidate, extent::token, Kind>, X>, Rest...>> {
  using C = node<reduce_op<extent::candidate, extent::token, Kind>, X>;
  using read = typename from_token<C>::type;
  using below = typename token_needs<List, program<read, extent::token>>::type;  // candidates within candidates
  using with = typename flatten_all<below, extent::token, read>::type;
  using type = typename token_needs<with, list<Rest...>>::type;
};
template <class Bodies>
struct token_program {
  using plain = program<Bodies, extent::token>;
  using needs = typename token_needs<list<>, plain>::type;
  using type = typename flatten_all<needs, extent::token, Bodies>::type;
};

// The array of adjoints of a coarse value that token formulas read.
template <class E>
struct import_of {};

template <class Plan, int Rank, bool Values, bool Slopes>
struct sweep_plan {
  using variable = typename Plan::variable;
  using valued = std::conditional_t<Values, typename Plan::template values_at<Rank>, list<>>;
  using sloped = std::conditional_t<Slopes, typename Plan::template slopes_at<Rank>, list<>>;
  using all = std::conditional_t<Values, valued, sloped>;  // sloped is part of valued
  using nodes = typename token_program<typename bodies<all>::type>::type;
  using slope_nodes = typename token_program<typename bodies<sloped>::type>::type;
  using inputs = typename filter<is_input<variable>::template test, slope_nodes>::type;
  using imports = typename filter<coarser_than<extent::token>::template test, nodes>::type;
  using active_imports = typename filter<coarser_than<extent::token>::template test, inputs>::type;

  // Inputs that write gradients: the variable, and each reduction over candidates of it. The first one to write stores,
  // the others add; sweeps of a higher rank come first.
  template <class... Is>
  static constexpr int count_writers(list<Is...>) {
    return ((Is::level <= extent::token ? 1 : 0) + ... + 0);
  }
  static constexpr int writers = count_writers(inputs{});
  template <class... Is>
  static constexpr int first_writer(list<Is...>) {
    int index = 0, first = -1;
    ((first = first < 0 && Is::level <= extent::token ? index : first, ++index), ...);
    return first;
  }
  template <int Higher>
  static constexpr bool written_from() {
    if constexpr (Higher > Plan::gradient_rank || !Slopes)
      return false;
    else
      return sweep_plan<Plan, Higher, false, true>::writers > 0 || written_from<Higher + 1>();
  }
  static constexpr bool adds = written_from<Rank + 1>();
};

// Everything that has an array: the reductions to sequences and above, and the active imports of every sweep, each
// once.
template <class List, class Imports>
struct add_imports;
template <class List>
struct add_imports<List, list<>> {
  using type = List;
};
template <class List, class First, class... Rest>
struct add_imports<List, list<First, Rest...>> {
  using type = typename add_imports<append_once<List, import_of<First>>, list<Rest...>>::type;
};
template <class Plan, class List, int Rank, bool Last = (Rank < 0)>
struct array_list {
  using here = typename sweep_plan<Plan, Rank, false, true>::active_imports;
  using type = typename array_list<Plan, typename add_imports<List, here>::type, Rank - 1>::type;
};
template <class Plan, class List, int Rank>
struct array_list<Plan, List, Rank, true> {
  using variable = typename Plan::variable;
  using type = typename std::conditional_t<(variable::level > extent::token), append<List, variable>, tag<List>>::type;
};

}  // namespace formula
}  // namespace gradwire::inline v0
