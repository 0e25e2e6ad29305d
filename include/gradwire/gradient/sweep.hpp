// SPDX-License-Identifier: Apache-2.0
// One sweep over the tokens of some sequences: row by row, a block of lanes at a time. It computes the values of the
// reductions of its rank and, once their adjoints are known, writes dL/dlogprob and the adjoints of the coarser values
// that the token formulas read. Masked positions are selected away, so that nothing in them can show.
#pragma once

#include <gradwire/gradient/coarse.hpp>
#include <gradwire/gradient/sweep_parts.hpp>

namespace gradwire::inline v0 {
namespace formula {

// ---- the sweep
// --------------------------------------------------------------------------------------------------------

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

  struct block {
    std::size_t element;  // of its first lane
    V w;
    typename V::mask_type unmasked, valid;  // w ≠ 0; within the sequence's length
  };

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
  [[gnu::always_inline]] static V pulled_back(list<Cs...>, auto& f, adjoints_of<V, sloped>& adjoints, const block& b) {
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
              if constexpr (std::is_same_v<kind_t<Cs>, weighted_sum>) d = d * b.w;
              weighted = first ? d : weighted + d;
              first = false;
            }
          }
        }(),
        ...);
    const V kept = select_or_zero(b.unmasked, weighted);
    return any_plain ? kept + select_or_zero(b.valid, everywhere) : kept;
  }

  template <bool Add>
  [[gnu::always_inline]] static void write(T* to, V x) {
    if constexpr (Add) x = x + V::load(to);
    x.store(to);
  }

  template <class... Is>
  [[gnu::always_inline]] static void write_slopes(list<Is...>, auto& f, Context& c, auto& adjoints, auto& import_sums,
                                                  const block& b) {
    (
        [&]() [[gnu::always_inline]] {
          constexpr int j = index_in<Is>(inputs{});
          const V g = pulled_back<j>(sloped{}, f, adjoints, b);
          if constexpr (std::is_same_v<Is, variable>) {
            write<(types::adds || types::first_writer(inputs{}) != j)>(c.slope + b.element, g);
          } else if constexpr (Is::level > extent::token) {
            import_sums.template of<Is>().add(g, V::mask_type::broadcast(true));
          } else {  // a reduction over candidates: on to each of its K variables
            for_each_candidate<Is>(c, f, b.element, [&](std::size_t at, auto& candidate) [[gnu::always_inline]] {
              write<(types::adds || types::first_writer(inputs{}) != j)>(
                  c.slope + at, select_or_zero(b.unmasked, g * candidate.template at<body_of<Is>>().tangent[0]));
            });
          }
        }(),
        ...);
  }

  template <class... Cs>
  [[gnu::always_inline]] static void add_values(list<Cs...>, auto& f, Context& c, auto& collected, const block& b) {
    (
        [&]() [[gnu::always_inline]] {
          const V x = f.template at<body_of<Cs>>().value;
          if constexpr (crossing_traits<Cs>::coupled) {  // a selection over the batch needs every value
            for (int i = 0; i < V::width; ++i)
              c.store[b.element + static_cast<std::size_t>(i)] =
                  b.unmasked[i] ? static_cast<double>(x[i]) : -__builtin_inf();
          } else if constexpr (std::is_same_v<kind_t<Cs>, weighted_sum>) {
            collected.template of<Cs>().add(x * b.w, b.unmasked);
          } else if constexpr (std::is_same_v<kind_t<Cs>, plain_sum>) {
            collected.template of<Cs>().add(x, b.valid);
          } else {
            collected.template of<Cs>().add(x, b.unmasked);
          }
        }(),
        ...);
  }

  template <class... Fs>
  static void set_rows(list<Fs...>, [[maybe_unused]] Context& c, [[maybe_unused]] row_pointers<T, columns>& row,
                       [[maybe_unused]] std::size_t begin) {
    ((row.template of<Fs>() = c.batch.data(Fs{}) + begin), ...);
  }
  template <class... Cs>
  static void set_adjoints(list<Cs...>, [[maybe_unused]] Context& c, auto& adjoints, [[maybe_unused]] std::size_t s) {
    ((adjoints.template of<Cs>() = V::broadcast(static_cast<T>(c.array.template of<Cs>().adjoint[s]))), ...);
  }
  template <class... Cs>
  static void keep_values(list<Cs...>, [[maybe_unused]] Context& c, [[maybe_unused]] auto& collected,
                          [[maybe_unused]] std::size_t s) {
    (
        [&] {
          if constexpr (!crossing_traits<Cs>::coupled)
            c.array.template of<Cs>().value[s] = collected.template of<Cs>().total();
        }(),
        ...);
  }
  template <class... Is>
  static void keep_imports(list<Is...>, [[maybe_unused]] Context& c, [[maybe_unused]] auto& sums,
                           [[maybe_unused]] std::size_t s) {
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
        const block b{begin + i, w, unmasked, valid};
        add_values(valued{}, f, c, collected, b);
        write_slopes(inputs{}, f, c, adjoints, import_sums, b);
      }
      keep_values(valued{}, c, collected, s);
      keep_imports(active_imports{}, c, import_sums, s);
    }
  }
};

}  // namespace formula
}  // namespace gradwire::inline v0
