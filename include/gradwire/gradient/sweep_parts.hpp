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
struct collectors<V, list<Cs...>> : collector_slot<Cs, V>... {
  template <class C>
  [[gnu::always_inline]] auto& of() {
    return static_cast<collector_slot<C, V>&>(*this).collected;
  }
};

template <class C, class V>
struct adjoint_slot {
  V adjoint{};
};
template <class V, class List>
struct adjoints_of;
template <class V, class... Cs>
struct adjoints_of<V, list<Cs...>> : adjoint_slot<Cs, V>... {
  template <class C>
  [[gnu::always_inline]] V& of() {
    return static_cast<adjoint_slot<C, V>&>(*this).adjoint;
  }
};

template <class F, class T>
struct pointer_slot {
  const T* row = nullptr;
};
template <class T, class List>
struct row_pointers;
template <class T, class... Fs>
struct row_pointers<T, list<Fs...>> : pointer_slot<Fs, T>... {
  template <class F>
  [[gnu::always_inline]] const T*& of() {
    return static_cast<pointer_slot<F, T>&>(*this).row;
  }
};

// ---- candidates: the K variables of a token
// ---------------------------------------------------------------------------

template <class C, class Context, class Frame, class Use>
[[gnu::always_inline]] inline void for_each_candidate(Context& c, Frame& token, std::size_t element, Use&& use) {
  using V = typename Frame::lane_type;
  using body = body_of<C>;
  using nodes = program<list<body>, extent::candidate>;
  using inputs =
      typename filter<is_input<typename Context::plan::variable, extent::candidate>::template test, nodes>::type;
  static_assert(
      inputs::size == 0 || (inputs::size == 1 && contains<typename Context::plan::variable, inputs> &&
                            Context::plan::variable::level == extent::candidate),
      "gradwire: inside sum_over_candidates(...) the only value with a gradient may be the per-candidate field in "
      "wrt(...); move what is per token or coarser out of the sum, or stop_gradient(...) it");
  const std::size_t plane = c.shape.padded();
  for (std::size_t k = 0; k < c.shape.candidates(); ++k) {
    frame<V, inputs, nodes> f;
    const auto run = [&]<class... Es>(list<Es...>) [[gnu::always_inline]] {
      (
          [&]() [[gnu::always_inline]] {
            if constexpr (!is_leaf<Es, extent::candidate>)
              step<Es>::run(f);
            else if constexpr (Es::level > extent::candidate)
              f.template at<Es>().value = token.template at<Es>().value;
            else
              set_leaf<Es>(f, V::load(c.batch.data(Es{}) + k * plane + element));
          }(),
          ...);
    };
    run(nodes{});
    use(k * plane + element, f);
  }
}

}  // namespace formula
}  // namespace gradwire::inline v0
