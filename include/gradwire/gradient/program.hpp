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

template <class E, class V, int Tangents>
struct slot {
  V value;
  V tangent[static_cast<unsigned>(Tangents)];
};
template <class E, class V>
struct slot<E, V, 0> {
  V value;
};
template <class E, class V>
using value_type_of = typename std::conditional_t<is_boolean<E>, typename V::mask_type, V>;
template <class E, class V, class Inputs>
using slot_of = slot<E, value_type_of<E, V>, dependence<E, Inputs> != 0 ? Inputs::size : 0>;

template <class V, class Inputs, class Nodes>
struct frame;
template <class V, class Inputs, class... Nodes>
struct frame<V, Inputs, list<Nodes...>> : slot_of<Nodes, V, Inputs>... {
  using lane_type = V;
  using inputs = Inputs;
  template <class E>
  [[gnu::always_inline]] auto& at() noexcept {
    return static_cast<slot_of<E, V, Inputs>&>(*this);
  }
};

template <class E, class Inputs, int J>
inline constexpr bool depends_on = (dependence<E, Inputs> >> J & 1u) != 0;

// The tangent of E for input J, or a zero that no operation reads.
template <class E, int J, class Frame>
[[gnu::always_inline]] inline typename Frame::lane_type tangent(Frame& f) noexcept {
  if constexpr (depends_on<E, typename Frame::inputs, J>)
    return f.template at<E>().tangent[J];
  else
    return Frame::lane_type::broadcast(0);
}

// ---- one step: evaluate E from its operands -------------------------------------------------------------------------

template <class E>
struct step;

template <class Op, class A>
struct step<node<Op, A>> {
  using self = node<Op, A>;
  template <int J = 0, class Frame, class V>
  [[gnu::always_inline]] static void chain(Frame& f, V derivative) noexcept {
    if constexpr (J < Frame::inputs::size) {
      if constexpr (depends_on<self, typename Frame::inputs, J>)
        f.template at<self>().tangent[J] = derivative * f.template at<A>().tangent[J];
      chain<J + 1>(f, derivative);
    }
  }
  template <int J = 0, class Frame>
  [[gnu::always_inline]] static void pass(Frame& f) noexcept {
    if constexpr (J < Frame::inputs::size) {
      if constexpr (depends_on<self, typename Frame::inputs, J>) {
        auto& y = f.template at<self>();
        y.tangent[J] = Op::template slope<true>(f.template at<A>().value, y.value, f.template at<A>().tangent[J]);
      }
      pass<J + 1>(f);
    }
  }
  template <class Frame>
  [[gnu::always_inline]] static void run(Frame& f) noexcept {
    using V = typename Frame::lane_type;
    const auto x = f.template at<A>().value;
    auto& y = f.template at<self>();
    if constexpr (dependence<self, typename Frame::inputs> == 0) {
      if constexpr (is_boolean<A> && !is_boolean<self>)
        y.value = Op::template value<V>(x);
      else
        y.value = Op::value(x);
    } else if constexpr (requires { Op::value_and_derivative(x); }) {
      const auto both = Op::value_and_derivative(x);
      y.value = both.value;
      chain(f, both.derivative);
    } else {
      y.value = Op::value(x);
      if constexpr (requires { Op::derivative(x, x); })
        chain(f, Op::derivative(x, y.value));
      else
        pass(f);
    }
  }
};

template <class Op, class A, class B>
struct step<node<Op, A, B>> {
  using self = node<Op, A, B>;
  template <int J = 0, class Frame>
  [[gnu::always_inline]] static void pass(Frame& f) noexcept {
    using I = typename Frame::inputs;
    if constexpr (J < I::size) {
      if constexpr (depends_on<self, I, J>) {
        auto& y = f.template at<self>();
        y.tangent[J] = Op::template slope<depends_on<A, I, J>, depends_on<B, I, J>>(
            f.template at<A>().value, f.template at<B>().value, y.value, tangent<A, J>(f), tangent<B, J>(f));
      }
      pass<J + 1>(f);
    }
  }
  template <class Frame>
  [[gnu::always_inline]] static void run(Frame& f) noexcept {
    f.template at<self>().value = Op::value(f.template at<A>().value, f.template at<B>().value);
    if constexpr (dependence<self, typename Frame::inputs> != 0) pass(f);
  }
};

template <class Op, class A, class B, class C>
struct step<node<Op, A, B, C>> {
  using self = node<Op, A, B, C>;
  template <int J = 0, class Frame>
  [[gnu::always_inline]] static void pass(Frame& f) noexcept {
    using I = typename Frame::inputs;
    if constexpr (J < I::size) {
      if constexpr (depends_on<self, I, J>) {
        auto& y = f.template at<self>();
        y.tangent[J] = Op::template slope<depends_on<A, I, J>, depends_on<B, I, J>, depends_on<C, I, J>>(
            f.template at<A>().value, f.template at<B>().value, f.template at<C>().value, y.value, tangent<A, J>(f),
            tangent<B, J>(f), tangent<C, J>(f));
      }
      pass<J + 1>(f);
    }
  }
  template <class Frame>
  [[gnu::always_inline]] static void run(Frame& f) noexcept {
    f.template at<self>().value =
        Op::value(f.template at<A>().value, f.template at<B>().value, f.template at<C>().value);
    if constexpr (dependence<self, typename Frame::inputs> != 0) pass(f);
  }
};

// A leaf's value comes from the loader; if it is an input, its tangent for itself is 1.
template <class E, class Frame, class V>
[[gnu::always_inline]] inline void set_leaf(Frame& f, V value) noexcept {
  auto& s = f.template at<E>();
  s.value = value;
  if constexpr (dependence<E, typename Frame::inputs> != 0)
    s.tangent[index_in<E>(typename Frame::inputs{})] = V::broadcast(1);
}

}  // namespace formula
}  // namespace gradwire::inline v0
