// SPDX-License-Identifier: Apache-2.0
// One sweep over the tokens of some sequences: row by row, a block of lanes at a time. It computes the values of the
// reductions of its rank and, once their adjoints are known, writes dL/dlogprob and the adjoints of the coarser values
// that the token formulas read. Masked positions are selected away, so that nothing in them can show.
#pragma once

#include <gradwire/expression/lanes_accumulator.hpp>
#include <gradwire/expression/lanes_math.hpp>
#include <gradwire/gradient/coarse.hpp>
#include <gradwire/gradient/sweep_plan.hpp>

namespace gradwire::inline v0 {
namespace detail {

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

// ---- candidates: the K variables of a token ---------------------------------------------------------------------------

template <class C, class Context, class Frame, class Use>
[[gnu::always_inline]] inline void for_each_candidate(Context& c, Frame& token, std::size_t element, Use&& use) {
  using V = typename Frame::lane_type;
  using body = body_of<C>;
  using nodes = program<list<body>, extent::candidate>;
  using inputs = typename filter<is_input<typename Context::plan::variable, extent::candidate>::template test, nodes>::type;
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

// ---- the sweep --------------------------------------------------------------------------------------------------------

template <class Context, int Rank, bool Values, bool Slopes>
struct sweep {
  using types = sweep_plan<typename Context::plan, Rank, Values, Slopes>;
  using plan = typename Context::plan;
  using variable = typename plan::variable;
  using T = typename Context::value_type;
  using V = lanes<T, typename Context::isa>;
  using valued = typename types::valued;
  using sloped = typename types::sloped;
  using all = typename types::all;
  using nodes = typename types::nodes;
  using inputs = typename types::inputs;
  using imports = typename types::imports;
  using active_imports = typename types::active_imports;
  using import_nodes = program<imports, extent::batch>;
  using columns = typename filter<column_leaf<extent::token>::template test, nodes>::type;

  template <class... Es>
  static void set_imports(list<Es...>, auto& f, auto& coarse) {
    (
        [&] {
          if constexpr (is_boolean<Es>)
            f.template at<Es>().value = V::mask_type::broadcast(coarse.template at<Es>().value);
          else
            set_leaf<Es>(f, V::broadcast(static_cast<T>(coarse.template at<Es>().value.v)));
        }(),
        ...);
  }

  template <class... Es>
  [[gnu::always_inline]] static void run_block(list<Es...>, auto& f, Context& c, row_pointers<T, columns>& row,
                                               std::size_t begin, std::size_t i) {
    (
        [&]() [[gnu::always_inline]] {
          if constexpr (!is_leaf<Es, extent::token>)
            step<Es>::run(f);
          else if constexpr (Es::level > extent::token)
            ;  // set once a row
          else if constexpr (requires { Es::wire_name; })
            set_leaf<Es>(f, V::load(row.template of<Es>() + i));
          else if constexpr (requires { Es::what; })
            set_leaf<Es>(f, V::iota() + V::broadcast(static_cast<T>(i)));
          else {
            V sum = V::broadcast(0);
            for_each_candidate<Es>(c, f, begin + i, [&](std::size_t, auto& candidate) [[gnu::always_inline]] {
              sum = sum + candidate.template at<body_of<Es>>().value;
            });
            set_leaf<Es>(f, sum);
          }
        }(),
        ...);
  }

  // Σ over the reductions of adjoint · weight · d body / d input J.
  template <int J, class... Cs>
  [[gnu::always_inline]] static V pulled_back(list<Cs...>, auto& f, adjoints_of<V, sloped>& adjoints, V w,
                                              typename V::mask_type unmasked, typename V::mask_type valid) {
    V weighted = V::broadcast(0), everywhere = V::broadcast(0);
    bool first = true, any_plain = false;
    (
        [&]() [[gnu::always_inline]] {
          using body = body_of<Cs>;
          if constexpr (depends_on<body, inputs, J>) {
            V d = adjoints.template of<Cs>() * f.template at<body>().tangent[J];
            if constexpr (std::is_same_v<kind_t<Cs>, plain_sum>) {
              everywhere = everywhere + d;
              any_plain = true;
            } else {
              if constexpr (std::is_same_v<kind_t<Cs>, weighted_sum>) d = d * w;
              weighted = first ? d : weighted + d;
              first = false;
            }
          }
        }(),
        ...);
    const V kept = select_or_zero(unmasked, weighted);
    return any_plain ? kept + select_or_zero(valid, everywhere) : kept;
  }

  template <bool Add>
  [[gnu::always_inline]] static void write(T* to, V x) {
    if constexpr (Add) x = x + V::load(to);
    x.store(to);
  }

  template <class... Is>
  [[gnu::always_inline]] static void write_slopes(list<Is...>, auto& f, Context& c, auto& adjoints, auto& import_sums,
                                                  std::size_t element, V w, typename V::mask_type unmasked,
                                                  typename V::mask_type valid) {
    (
        [&]() [[gnu::always_inline]] {
          constexpr int j = index_in<Is>(inputs{});
          const V g = pulled_back<j>(sloped{}, f, adjoints, w, unmasked, valid);
          if constexpr (std::is_same_v<Is, variable>) {
            write<(types::adds || types::first_writer(inputs{}) != j)>(c.slope + element, g);
          } else if constexpr (Is::level > extent::token) {
            import_sums.template of<Is>().add(g, V::mask_type::broadcast(true));
          } else {  // a reduction over candidates: on to each of its K variables
            for_each_candidate<Is>(c, f, element, [&](std::size_t at, auto& candidate) [[gnu::always_inline]] {
              write<(types::adds || types::first_writer(inputs{}) != j)>(c.slope + at, select_or_zero(unmasked, g * candidate.template at<body_of<Is>>().tangent[0]));
            });
          }
        }(),
        ...);
  }

  template <class... Cs>
  [[gnu::always_inline]] static void add_values(list<Cs...>, auto& f, Context& c, auto& collected, std::size_t element,
                                                V w, typename V::mask_type unmasked, typename V::mask_type valid) {
    (
        [&]() [[gnu::always_inline]] {
          const V x = f.template at<body_of<Cs>>().value;
          if constexpr (crossing_traits<Cs>::coupled) {  // a selection over the batch needs every value
            for (int i = 0; i < V::width; ++i)
              c.store[element + static_cast<std::size_t>(i)] =
                  unmasked[i] ? static_cast<double>(x[i]) : -__builtin_inf();
          } else if constexpr (std::is_same_v<kind_t<Cs>, weighted_sum>) {
            collected.template of<Cs>().add(x * w, unmasked);
          } else if constexpr (std::is_same_v<kind_t<Cs>, plain_sum>) {
            collected.template of<Cs>().add(x, valid);
          } else {
            collected.template of<Cs>().add(x, unmasked);
          }
        }(),
        ...);
  }

  template <class... Fs>
  static void set_rows(list<Fs...>, Context& c, row_pointers<T, columns>& row, std::size_t begin) {
    ((row.template of<Fs>() = c.batch.data(Fs{}) + begin), ...);
  }
  template <class... Cs>
  static void set_adjoints(list<Cs...>, [[maybe_unused]] Context& c, auto& adjoints, [[maybe_unused]] std::size_t s) {
    ((adjoints.template of<Cs>() = V::broadcast(static_cast<T>(c.array.template of<Cs>().adjoint[s]))), ...);
  }
  template <class... Cs>
  static void keep_values(list<Cs...>, Context& c, auto& collected, std::size_t s) {
    (
        [&] {
          if constexpr (!crossing_traits<Cs>::coupled)
            c.array.template of<Cs>().value[s] = collected.template of<Cs>().total();
        }(),
        ...);
  }
  template <class... Is>
  static void keep_imports(list<Is...>, Context& c, auto& sums, std::size_t s) {
    ((c.array.template of<import_of<Is>>().adjoint[s] = sums.template of<Is>().total()), ...);
  }

  // Does any reduction of this sweep run over masked positions too?
  template <class... Cs>
  static constexpr bool any_plain(list<Cs...>) {
    return (std::is_same_v<kind_t<Cs>, plain_sum> || ...);
  }

  // The sequences first … last - 1, which begin in group g.
  [[gnu::noinline]] static void run(Context& c, std::size_t first, std::size_t last, std::size_t g) {
    const T* const weights = c.batch.data(fields::weights);
    constexpr auto width = static_cast<std::size_t>(V::width);
    for (std::size_t s = first; s < last; ++s) {
      while (s >= c.shape.group_begin[g + 1]) ++g;
      const std::size_t begin = c.shape.offset[s], length = c.shape.length[s];
      frame<V, inputs, nodes> f;
      {
        frame<typename Context::number, list<>, import_nodes> coarse;
        run_coarse(import_nodes{}, coarse, c, place{s, g});
        set_imports(imports{}, f, coarse);
      }
      row_pointers<T, columns> row;
      set_rows(columns{}, c, row, begin);
      adjoints_of<V, sloped> adjoints;
      set_adjoints(sloped{}, c, adjoints, s);
      collectors<V, valued> collected;
      collectors<V, active_imports> import_sums;
      const T* const w_row = weights + begin;
      for (std::size_t i = 0; i < length; i += width) {
        const V w = V::load(w_row + i);
        const auto unmasked = w != V::broadcast(0);
        auto valid = unmasked;
        if constexpr (any_plain(all{}))
          valid = V::iota() + V::broadcast(static_cast<T>(i)) < V::broadcast(static_cast<T>(length));
        run_block(nodes{}, f, c, row, begin, i);
        add_values(valued{}, f, c, collected, begin + i, w, unmasked, valid);
        write_slopes(inputs{}, f, c, adjoints, import_sums, begin + i, w, unmasked, valid);
      }
      keep_values(valued{}, c, collected, s);
      keep_imports(active_imports{}, c, import_sums, s);
    }
  }
};

}  // namespace detail
}  // namespace gradwire::inline v0
