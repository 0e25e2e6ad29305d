// SPDX-License-Identifier: Apache-2.0
// A bound formula as a straight-line program: its distinct subexpressions in an order in which operands come first. A
// frame has one slot a subexpression, with the value and, where an input of the program is differentiated, one tangent
// an input (forward mode). The same machine runs token formulas on lanes and coarser formulas on scalars.
#pragma once

#include <gradwire/gradient/bind.hpp>

namespace gradwire::inline v0 {
namespace formula {

// ---- which subexpressions, in which order -------------------------------------------------------------------------

// At the extent Stop, what is coarser comes in from outside, as do columns, numbers and the results of reductions.
template <class E, extent Stop>
inline constexpr bool is_leaf = true;
template <class Op, class... Xs, extent Stop>
inline constexpr bool is_leaf<node<Op, Xs...>, Stop> = is_crossing<Op> || (node<Op, Xs...>::level > Stop);

// The longer operand comes first: what ends with many dependent steps should not be what a block waits for.
template <class E>
inline constexpr int steps = 0;
template <class Op, class... Xs>
inline constexpr int steps<node<Op, Xs...>> = is_crossing<Op> ? 0 : (1 + ... + steps<Xs>);

template <class List, extent Stop, class E, bool Leaf = is_leaf<E, Stop> || contains<E, List>>
struct flatten {
  using type = append_once<List, E>;
};
template <class List, extent Stop, class Op, class A>
struct flatten<List, Stop, node<Op, A>, false> {
  using type = append_once<typename flatten<List, Stop, A>::type, node<Op, A>>;
};
template <class List, extent Stop, class Op, class A, class B>
struct flatten<List, Stop, node<Op, A, B>, false> {
  using longer = std::conditional_t<(steps<B> > steps<A>), B, A>;
  using shorter = std::conditional_t<(steps<B> > steps<A>), A, B>;
  using type =
      append_once<typename flatten<typename flatten<List, Stop, longer>::type, Stop, shorter>::type, node<Op, A, B>>;
};
template <class List, extent Stop, class Op, class A, class B, class C>
struct flatten<List, Stop, node<Op, A, B, C>, false> {
  using a = typename flatten<List, Stop, A>::type;
  using b = typename flatten<a, Stop, B>::type;
  using type = append_once<typename flatten<b, Stop, C>::type, node<Op, A, B, C>>;
};

template <class List, extent Stop, class Bodies>
struct flatten_all;
template <class List, extent Stop>
struct flatten_all<List, Stop, list<>> {
  using type = List;
};
template <class List, extent Stop, class First, class... Rest>
struct flatten_all<List, Stop, list<First, Rest...>> {
  using type = typename flatten_all<typename flatten<List, Stop, First>::type, Stop, list<Rest...>>::type;
};
// The program that evaluates every expression of the list Bodies.
template <class Bodies, extent Stop>
using program = typename flatten_all<list<>, Stop, Bodies>::type;

template <template <class> class Keep, class List, class Kept = list<>>
struct filter;
template <template <class> class Keep, class Kept>
struct filter<Keep, list<>, Kept> {
  using type = Kept;
};
template <template <class> class Keep, class First, class... Rest, class... Kept>
struct filter<Keep, list<First, Rest...>, list<Kept...>> {
  using type = typename filter<Keep, list<Rest...>,
                               std::conditional_t<Keep<First>::value, list<Kept..., First>, list<Kept...>>>::type;
};

// ---- which inputs a subexpression depends on: one bit each ----------------------------------------------------------

// The inputs of a formula per candidate, where everything coarser is a leaf. In a token's formula a sum over candidates
// depends on its own candidates, if it is an input, and on the inputs that it reads through coarser values.
template <class... Ts>
struct candidate_inputs : list<Ts...> {
  using of_candidates = void;
};
template <class Op>
constexpr bool sums_candidates() {
  if constexpr (is_crossing<Op>)
    return Op::body == extent::candidate;
  else
    return false;
}

template <class E, class Inputs>
inline constexpr unsigned dependence = contains<E, Inputs> ? 1u << index_in<E>(Inputs{}) : 0u;
template <class Op, class Inputs, class... Xs>
constexpr unsigned dependence_of() {
  if constexpr (sums_candidates<Op>() && !is_detached<Op> && !requires { typename Inputs::of_candidates; })
    return (contains<node<Op, Xs...>, Inputs> ? 1u << index_in<node<Op, Xs...>>(Inputs{}) : 0u) |
           (dependence<Xs, Inputs> | ...);
  else if constexpr (contains<node<Op, Xs...>, Inputs>)
    return 1u << index_in<node<Op, Xs...>>(Inputs{});
  else if constexpr (is_crossing<Op> || is_detached<Op>)
    return 0;
  else if constexpr (requires { Op::slope_of_second; })
    return []<class A, class B>(tag<list<A, B>>) { return dependence<B, Inputs>; }(tag<list<Xs...>>{});
  else
    return (dependence<Xs, Inputs> | ...);
}
template <class Op, class... Xs, class Inputs>
inline constexpr unsigned dependence<node<Op, Xs...>, Inputs> = dependence_of<Op, Inputs, Xs...>();

// ---- the frame ----------------------------------------------------------------------------------------------------

// The numbers of a slot know no formula, so that an operation is compiled once, whatever it is applied to.
template <class V, int Tangents>
struct slot_values {
  V value;
  V tangent[static_cast<unsigned>(Tangents)];
};
template <class V>
struct slot_values<V, 0> {
  V value;
};
template <class E, class V, int Tangents>
struct slot : slot_values<V, Tangents> {};
template <class E, class V>
using value_type_of = typename std::conditional_t<is_boolean<E>, typename V::mask_type, V>;
template <class E, class V, class Inputs>
using slot_of = slot<E, value_type_of<E, V>, dependence<E, Inputs> != 0 ? Inputs::size : 0>;

// A frame is named after what it is the frame of, and its slots are reached by a cast, not by a call: every function
// made of a formula has a name that spells its types out, and most of the compiler's time would go into names.
template <class V, class Inputs, class Nodes>
struct frame_slots;
template <class V, class Inputs, class... Nodes>
struct frame_slots<V, Inputs, list<Nodes...>> : slot_of<Nodes, V, Inputs>... {};
template <class Of>
struct frame : frame_slots<typename Of::number, typename Of::inputs, typename Of::nodes> {
  using lane_type = typename Of::number;
  using inputs = typename Of::inputs;
  using nodes = typename Of::nodes;
};
template <class E, class Frame>
using slot_in = slot_of<E, typename Frame::lane_type, typename Frame::inputs>&;

template <class E, class Inputs, int J>
inline constexpr bool depends_on = (dependence<E, Inputs> >> J & 1u) != 0;

// The tangent of E for input J, or a zero that no operation reads.
template <class E, int J, class Frame>
[[gnu::always_inline]] inline typename Frame::lane_type tangent(Frame& f) noexcept {
  if constexpr (depends_on<E, typename Frame::inputs, J>)
    return static_cast<slot_in<E, Frame>>(f).tangent[J];
  else
    return Frame::lane_type::broadcast(0);
}

// ---- one step: evaluate E from its operands -------------------------------------------------------------------------

// What an operation must know of a slot: the inputs that it depends on, one bit each, and whether it is a truth value.
inline constexpr unsigned truth_bit = 1u << 31;
template <class E, class Inputs>
inline constexpr unsigned slot_bits = dependence<E, Inputs> | (is_boolean<E> ? truth_bit : 0u);

template <class V, int Inputs, unsigned Bits>
using slot_values_of = slot_values<typename std::conditional_t<(Bits & truth_bit) != 0, typename V::mask_type, V>,
                                   (Bits & ~truth_bit) != 0 ? Inputs : 0>;

template <bool Depends, int J, class V, class Slot>
[[gnu::always_inline]] inline V tangent_or_zero([[maybe_unused]] const Slot& x) noexcept {
  if constexpr (Depends)
    return x.tangent[J];
  else
    return V::broadcast(0);
}

template <class Op, class V, int Inputs, unsigned Self, unsigned... Bits>
struct operation {
  using result = slot_values_of<V, Inputs, Self>;
  template <int J = 0>
  [[gnu::always_inline]] static void chain(result& y, const slot_values_of<V, Inputs, Bits>&... x,
                                           V derivative) noexcept {
    if constexpr ((Self >> J & 1u) != 0) y.tangent[J] = (derivative * ... * x.tangent[J]);
    if constexpr (Self >> (J + 1) != 0) chain<J + 1>(y, x..., derivative);
  }
  template <int J = 0>
  [[gnu::always_inline]] static void pass(result& y, const slot_values_of<V, Inputs, Bits>&... x) noexcept {
    if constexpr ((Self >> J & 1u) != 0)
      y.tangent[J] = Op::template slope<(Bits >> J & 1u) != 0 ...>(x.value..., y.value,
                                                                   tangent_or_zero<(Bits >> J & 1u) != 0, J, V>(x)...);
    if constexpr (Self >> (J + 1) != 0) pass<J + 1>(y, x...);
  }
  [[gnu::always_inline]] static void run(result& y, const slot_values_of<V, Inputs, Bits>&... x) noexcept {
    if constexpr (sizeof...(Bits) == 1 && ((Bits & ~Self & truth_bit) | ...) != 0) {
      y.value = Op::template value<V>(x.value...);
    } else if constexpr ((Self & ~truth_bit) == 0) {
      y.value = Op::value(x.value...);
    } else if constexpr (requires { Op::value_and_derivative(x.value...); }) {
      const auto both = Op::value_and_derivative(x.value...);
      y.value = both.value;
      chain(y, x..., both.derivative);
    } else {
      y.value = Op::value(x.value...);
      if constexpr (requires(V v) { Op::derivative(v, v); })
        chain(y, x..., Op::derivative(x.value..., y.value));
      else
        pass(y, x...);
    }
  }
};

template <class E>
struct step;
template <class Op, class... Xs>
struct step<node<Op, Xs...>> {
  template <class Frame>
  [[gnu::always_inline]] static void run(Frame& f) noexcept {
    using I = typename Frame::inputs;
    operation<Op, typename Frame::lane_type, I::size, slot_bits<node<Op, Xs...>, I>, slot_bits<Xs, I>...>::run(
        static_cast<slot_in<node<Op, Xs...>, Frame>>(f), static_cast<slot_in<Xs, Frame>>(f)...);
  }
};

// A leaf's value comes from the loader; if it is an input, its tangent for itself is 1.
template <class E, class Frame, class V>
[[gnu::always_inline]] inline void set_leaf(Frame& f, V value) noexcept {
  auto& s = static_cast<slot_in<E, Frame>>(f);
  s.value = value;
  if constexpr (dependence<E, typename Frame::inputs> != 0)
    s.tangent[index_in<E>(typename Frame::inputs{})] = V::broadcast(1);
}

}  // namespace formula
}  // namespace gradwire::inline v0
