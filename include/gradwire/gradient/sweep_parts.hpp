// SPDX-License-Identifier: Apache-2.0
// The moving parts of a sweep: sums and extremes of a row, adjoints and column pointers by type, and the loop over the
// K candidates of a token.
#pragma once

#include <gradwire/expression/lanes_accumulator.hpp>
#include <gradwire/expression/lanes_math.hpp>
#include <gradwire/gradient/sweep_plan.hpp>

namespace gradwire::inline v0 {
namespace formula {

template <class V, class Kind>
struct collect {  // Σ, in double
  accumulator<typename V::value_type, typename V::isa_type> sum{};
  [[gnu::always_inline]] void add(V x, typename V::mask_type take) { sum.add(select_or_zero(take, x)); }
  double total() const { return sum.total(); }
};
template <class V, bool Largest>
struct collect_extreme {
  V best{};
  bool any = false;
  [[gnu::always_inline]] void add(V x, typename V::mask_type take) {
    for (int i = 0; i < V::width; ++i) {
      if (!take[i]) continue;
      if (!any || (Largest ? x[i] > best[0] : x[i] < best[0])) best = V::broadcast(x[i]);
      any = true;
    }
  }
  double total() const { return static_cast<double>(best[0]); }
};
template <class V>
struct collect<V, largest> : collect_extreme<V, true> {};
template <class V>
struct collect<V, smallest> : collect_extreme<V, false> {};

template <class V, extent At>
struct collect<V, own_weight_sum<At>> {  // Σ, and whether any of the terms is not 0
  accumulator<typename V::value_type, typename V::isa_type> sum{};
  typename V::mask_type nonzero = V::mask_type::broadcast(false);
  [[gnu::always_inline]] void add(V x, typename V::mask_type take) {
    sum.add(select_or_zero(take, x));
    nonzero = nonzero | (take & (x != V::broadcast(0)));
  }
  double total() const { return sum.total(); }
  bool any() const {
    for (int i = 0; i < V::width; ++i)
      if (nonzero[i]) return true;
    return false;
  }
};

template <class C>
struct kind_of_crossing {
  using type = weighted_sum;  // a selection stores its values; it has no sum
};
template <extent From, extent To, class Kind, class X>
struct kind_of_crossing<node<reduce_op<From, To, Kind>, X>> {
  using type = Kind;
};
template <class C>
using kind_t = typename kind_of_crossing<C>::type;

template <class C, class V>
struct collector_slot {
  collect<V, kind_t<C>> collected{};
};
template <class V, class List>
struct collectors;
template <class V, class... Cs>
struct collectors<V, list<Cs...>> : collector_slot<Cs, V>... {};

template <class C, class V>
struct adjoint_slot {
  V adjoint{};
};
template <class V, class List>
struct adjoints_of;
template <class V, class... Cs>
struct adjoints_of<V, list<Cs...>> : adjoint_slot<Cs, V>... {};

template <class C, class V>
struct moves_slot {
  typename V::mask_type moves{};
};
template <class V, class List>
struct moves_of;
template <class V, class... Cs>
struct moves_of<V, list<Cs...>> : moves_slot<Cs, V>... {  // of each reduction: is its adjoint not 0?
};

template <class F, class T>
struct pointer_slot {
  const T* row = nullptr;
};
template <class T, class List>
struct row_pointers;
template <class T, class... Fs>
struct row_pointers<T, list<Fs...>> : pointer_slot<Fs, T>... {};

// ---- candidates: the K variables of a token ---------------------------------------------------------------------

// What a sum over candidates reads of its token or of coarser extents, with a gradient.
template <class C, class Variable>
struct reads_of_token {
  template <class E>
  struct test {
    static constexpr bool value = !(E::level <= extent::candidate || !active<C, Variable> || !active<E, Variable>);
  };
  template <class... Es>
  static candidate_inputs<Es...> as_inputs(list<Es...>);
  using type = decltype(as_inputs(typename filter<test, program<list<body_of<C>>, extent::candidate>>::type{}));
};

// Evaluates the body of C for each of the token's candidates: use(element, frame).
template <class C, class Inputs_, class V>
struct candidate_program {
  using number = V;
  using inputs = Inputs_;
  using nodes = program<list<body_of<C>>, extent::candidate>;
};
template <class C, class Inputs, class Context, class Frame, class Use>
[[gnu::always_inline]] inline void for_each_candidate(Context& c, Frame& token, std::size_t element, Use&& use) {
  using V = typename Frame::lane_type;
  using own = candidate_program<C, Inputs, V>;
  const std::size_t plane = c.shape.padded();
  for (std::size_t k = 0; k < c.shape.candidates(); ++k) {
    frame<own> f;
    const auto run = [&]<class... Es>(list<Es...>) [[gnu::always_inline]] {
      (
          [&]() [[gnu::always_inline]] {
            if constexpr (!is_leaf<Es, extent::candidate>)
              step<Es>::run(f);
            else if constexpr (Es::level > extent::candidate)
              set_leaf<Es>(f, static_cast<slot_in<Es, Frame>>(token).value);
            else
              set_leaf<Es>(f, V::load(c.batch.data(Es{}) + k * plane + element));
          }(),
          ...);
    };
    run(typename own::nodes{});
    use(k * plane + element, f);
  }
}

// The value of a sum over candidates in its token's frame, and how it moves with what it reads of the token.
template <class C, class Context, class Frame>
[[gnu::always_inline]] inline void set_candidate_sum(Context& c, Frame& token, std::size_t element) {
  using V = typename Frame::lane_type;
  using inputs = typename Frame::inputs;
  using body = body_of<C>;
  using read = typename reads_of_token<C, typename Context::plan::variable>::type;
  using candidate_frame = frame<candidate_program<C, read, V>>;
  const auto set = [&]<class... Ns>(const candidate_inputs<Ns...>&) [[gnu::always_inline]] {
    constexpr bool largest_of = std::is_same_v<kind_t<C>, largest>;
    V sum = V::broadcast(largest_of ? -__builtin_inff() : 0);
    [[maybe_unused]] V slopes[sizeof...(Ns) + 1] = {};
    for_each_candidate<C, read>(c, token, element, [&](std::size_t, candidate_frame& candidate) [[gnu::always_inline]] {
      const V x = static_cast<slot_in<body, candidate_frame>>(candidate).value;
      if constexpr (largest_of)
        sum = select(x > sum, x, sum);
      else
        sum = sum + x;
      (
          [&]() [[gnu::always_inline]] {
            constexpr int n = index_in<Ns>(read{});
            if constexpr (depends_on<body, read, n>)
              slopes[n] = slopes[n] + static_cast<slot_in<body, candidate_frame>>(candidate).tangent[n];
          }(),
          ...);
    });
    auto& slot = static_cast<slot_in<C, Frame>>(token);
    slot.value = sum;
    const auto tangents = [&]<class... Is>(list<Is...>) [[gnu::always_inline]] {
      (
          [&]() [[gnu::always_inline]] {
            constexpr int j = index_in<Is>(inputs{});
            if constexpr (depends_on<C, inputs, j>) {
              slot.tangent[j] = V::broadcast(std::is_same_v<Is, C> ? 1 : 0);
              ((slot.tangent[j] = slot.tangent[j] + slopes[index_in<Ns>(read{})] * tangent<Ns, j>(token)), ...);
            }
          }(),
          ...);
    };
    tangents(inputs{});
  };
  set(read{});
}

}  // namespace formula
}  // namespace gradwire::inline v0
