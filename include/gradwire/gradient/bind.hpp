// SPDX-License-Identifier: Apache-2.0
// A formula's type says everything but its numbers. Binding gives each number a place: `constant` becomes
// `bound_constant<Scope, I>`, the I-th number of the formula (Scope "") or of the let called Scope. From then on equal
// types mean equal values, so that common subtrees are found by type and evaluated once, and a let is one node however
// often it is used.
#pragma once

#include <gradwire/error.hpp>
#include <gradwire/expression/objective.hpp>
#include <gradwire/expression/order.hpp>

namespace gradwire::inline v0 {
namespace formula {

template <fixed_string Scope, int Index>
struct bound_constant {
  using expression_tag = void;
  static constexpr extent level = extent::batch;
};

// ---- type lists: a set that keeps its order -----------------------------------------------------------------------

template <class T>
struct tag {
  using type = T;
};
template <class... Ts>
struct list : tag<Ts>... {
  static constexpr int size = sizeof...(Ts);
};

template <class T, class List>
inline constexpr bool contains = std::is_base_of_v<tag<T>, List>;

template <class List, class T>
struct append;
template <class... Ts, class T>
struct append<list<Ts...>, T> {
  using type = list<Ts..., T>;
};
template <class List, class T>
using append_once = typename std::conditional_t<contains<T, List>, tag<List>, append<List, T>>::type;

template <class T, class... Ts>
constexpr int index_in(list<Ts...>) {
  int index = 0, found = -1;
  ((std::is_same_v<T, Ts> ? (found = index++) : index++), ...);
  return found;
}

// ---- binding ------------------------------------------------------------------------------------------------------

template <class E, fixed_string Scope = "", int Offset = 0>
struct bound {
  using type = E;
  static constexpr int next = Offset;
};
template <fixed_string Scope, int Offset>
struct bound<constant, Scope, Offset> {
  using type = bound_constant<Scope, Offset>;
  static constexpr int next = Offset + 1;
};
template <class Op, class A, fixed_string Scope, int Offset>
struct bound<node<Op, A>, Scope, Offset> {
  using a = bound<A, Scope, Offset>;
  using type = node<Op, typename a::type>;
  static constexpr int next = a::next;
};
template <class Op, class A, class B, fixed_string Scope, int Offset>
struct bound<node<Op, A, B>, Scope, Offset> {
  using a = bound<A, Scope, Offset>;
  using b = bound<B, Scope, a::next>;
  using type = node<Op, typename a::type, typename b::type>;
  static constexpr int next = b::next;
};
template <class Op, class A, class B, class C, fixed_string Scope, int Offset>
struct bound<node<Op, A, B, C>, Scope, Offset> {
  using a = bound<A, Scope, Offset>;
  using b = bound<B, Scope, a::next>;
  using c = bound<C, Scope, b::next>;
  using type = node<Op, typename a::type, typename b::type, typename c::type>;
  static constexpr int next = c::next;
};
template <fixed_string Name, class X, fixed_string Scope, int Offset>
struct bound<node<let_op<Name>, X>, Scope, Offset> {
  using type = node<let_op<Name>, typename bound<X, Name, 0>::type>;
  static constexpr int next = Offset;
};

template <class E>
inline constexpr bool is_let = false;
template <fixed_string Name, class X>
inline constexpr bool is_let<node<let_op<Name>, X>> = true;

// ---- the numbers --------------------------------------------------------------------------------------------------

template <class Bound>
struct constant_slot {
  double value = 0;
  bool known = false;
};
template <class List>
struct constant_table;
template <class... Bounds>
struct constant_table<list<Bounds...>> : constant_slot<Bounds>... {};

inline bool is_same_number(double a, double b) { return a == b || (a != a && b != b); }

[[noreturn, gnu::noinline, gnu::cold]] inline void two_constants(const char* name) {
  std::string sentence = "one let name for two numbers: ";
  sentence += name;
  throw error(errc::config, sentence += "; give each of the two expressions its own name");
}

[[noreturn, gnu::noinline, gnu::cold]] inline void bad_clamp(double low, double high) {
  char sentence[160];
  __builtin_snprintf(sentence, sizeof sentence, "clamp(x, %.9g, %.9g): the lower bound is above the upper one", low,
                     high);
  throw error(errc::config, sentence);
}
template <class E>
void check_bounds(const E&) {}
template <class X>
void check_bounds(const node<clamp_op, X, constant, constant>& e) {
  if (e.b.value > e.c.value) bad_clamp(e.b.value, e.c.value);
}

template <fixed_string Scope, int Offset, class Table>
void fill_constants(const constant& c, Table& table) {
  using key = bound_constant<Scope, Offset>;
  if constexpr (std::is_base_of_v<constant_slot<key>, Table>) {
    auto& slot = static_cast<constant_slot<key>&>(table);
    if (slot.known && !is_same_number(slot.value, c.value)) two_constants(Scope.data);
    slot.value = c.value;
    slot.known = true;
  }
}
template <fixed_string Scope, int Offset, class E, class Table>
void fill_constants(const E&, Table&) {}
template <fixed_string Scope, int Offset, class Op, class... Xs, class Table>
void fill_constants(const node<Op, Xs...>& e, Table& table) {
  using B = bound<node<Op, Xs...>, Scope, Offset>;
  if constexpr (std::is_same_v<Op, clamp_op>) check_bounds(e);
  if constexpr (is_let<node<Op, Xs...>>) {  // its numbers are counted within its own name
    fill_constants<Op::name, 0>(e.a, table);
  } else {
    fill_constants<Scope, Offset>(e.a, table);
    if constexpr (requires { e.b; }) fill_constants<Scope, B::a::next>(e.b, table);
    if constexpr (requires { e.c; }) fill_constants<Scope, B::b::next>(e.c, table);
  }
}

// ---- one name, one expression -------------------------------------------------------------------------------------

// Every let and every constant below E, each once.
template <class List, class E>
struct gather_lets {
  using type = List;
};
template <class List, fixed_string Scope, int Index>
struct gather_lets<List, bound_constant<Scope, Index>> {
  using type = append_once<List, bound_constant<Scope, Index>>;
};
template <class List>
struct gather_lets<List, list<>> {
  using type = List;
};
template <class List, class First, class... Rest>
struct gather_lets<List, list<First, Rest...>> {
  using type = typename gather_lets<typename gather_lets<List, First>::type, list<Rest...>>::type;
};
template <class List, class Op, class... Xs>
struct gather_lets<List, node<Op, Xs...>> {
  using type = typename gather_lets<List, list<Xs...>>::type;
};
template <class List, fixed_string Name, class X>
struct gather_lets<List, node<let_op<Name>, X>> {
  using self = node<let_op<Name>, X>;
  using type = typename std::conditional_t<contains<self, List>, tag<List>,
                                           append<typename gather_lets<List, X>::type, self>>::type;
};

template <class A, class B>
constexpr bool same_name() {
  if constexpr (is_let<A> && is_let<B>)
    return []<fixed_string N, class X, fixed_string M, class Y>(tag<node<let_op<N>, X>>, tag<node<let_op<M>, Y>>) {
      return N.view() == M.view() && !std::is_same_v<X, Y>;
    }(tag<A>{}, tag<B>{});
  else
    return false;
}
template <class A, class... Bs>
constexpr bool name_clashes() {
  return (same_name<A, Bs>() || ...);
}
template <class... Ts>
constexpr bool one_name_each(list<Ts...>) {
  return !(name_clashes<Ts, Ts...>() || ...);
}

}  // namespace formula
}  // namespace gradwire::inline v0
