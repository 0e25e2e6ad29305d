// SPDX-License-Identifier: Apache-2.0
// One sweep over the tokens of some sequences: row by row, a block of lanes at a time. It computes the values of the
// reductions of its rank and, once their adjoints are known, writes dL/dlogprob and the adjoints of the coarser values
// that the token formulas read. Masked positions are selected away, so that nothing in them can show.
#pragma once

#include <gradwire/gradient/coarse.hpp>
#include <gradwire/gradient/sweep_parts.hpp>

namespace gradwire::inline v0 {
namespace formula {

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
  using number = V;  // of the row's frame
  using row_frame = frame<sweep>;
  struct import_program {
    using number = typename Context::number;
    using inputs = list<>;
    using nodes = program<imports, extent::batch>;
  };
  using columns = typename filter<column_leaf<extent::token>::template test, nodes>::type;

  static constexpr std::size_t ahead = 2560 / sizeof(T);  // elements to prefetch ahead, where a column is out of cache

  struct block {
    std::size_t begin, i;  // of the row; of the block's first lane within it
    V w;
    typename V::mask_type unmasked, valid;  // w ≠ 0; within the sequence's length
    std::size_t element() const { return begin + i; }
  };

  // What a row works on.
  struct state {
    Context& c;
    std::size_t s;
    row_frame f;
    row_pointers<T, columns> row;
    adjoints_of<V, sloped> adjoints;
    collectors<V, valued> collected;
    collectors<V, active_imports> import_sums;
    moves_of<V, sloped> moves;
  };

  // A reduction whose adjoint is exactly 0 in this row moves nothing, however steep its body is there: a branch that is
  // not taken may be infinite. Where an adjoint cannot be 0 there is nothing to look at.
  static constexpr bool guarded = may_vanish<typename plan::root, variable>;

  // ---- before a row ----

  template <class E>
  static void bring_in(state& st, frame<import_program>& coarse) {
    if constexpr (is_boolean<E>)
      static_cast<slot_in<E, row_frame>>(st.f).value =
          V::mask_type::broadcast(static_cast<slot_in<E, frame<import_program>>>(coarse).value);
    else
      set_leaf<E>(st.f, V::broadcast(static_cast<T>(static_cast<slot_in<E, frame<import_program>>>(coarse).value.v)));
  }
  template <class... Is, class... Fs, class... Cs>
  static void begin_row(list<Is...>, list<Fs...>, list<Cs...>, state& st, [[maybe_unused]] std::size_t g) {
    frame<import_program> coarse;
    run_coarse(typename import_program::nodes{}, coarse, st.c, place{st.s, g});
    (bring_in<Is>(st, coarse), ...);
    ((static_cast<pointer_slot<Fs, T>&>(st.row).row = st.c.batch.data(Fs{}) + st.c.shape.offset[st.s]), ...);
    ((static_cast<adjoint_slot<Cs, V>&>(st.adjoints).adjoint =
          V::broadcast(static_cast<T>(static_cast<array_slot<Cs>&>(st.c.array).adjoint[st.s]))),
     ...);
    if constexpr (guarded)
      ((static_cast<moves_slot<Cs, V>&>(st.moves).moves =
            static_cast<adjoint_slot<Cs, V>&>(st.adjoints).adjoint != V::broadcast(0)),
       ...);
  }

  // ---- a block ----

  template <class E>
  GRADWIRE_LANES_INLINE static void evaluate(state& st, const block& b) noexcept {
    if constexpr (!is_leaf<E, extent::token>)
      step<E>::run(st.f);
    else if constexpr (E::level > extent::token)
      ;  // set before the row
    else if constexpr (requires { E::wire_name; }) {
      const T* const from = static_cast<pointer_slot<E, T>&>(st.row).row + b.i;
      if (st.c.far) __builtin_prefetch(from + ahead);
      set_leaf<E>(st.f, V::load(from));
    } else if constexpr (requires { E::what; })
      set_leaf<E>(st.f, V::iota() + V::broadcast(static_cast<T>(b.i)));
    else if constexpr (crossing_traits<E>::selects)
      set_leaf<E>(st.f, selected<E>(st, b));
    else
      set_candidate_sum<E>(st.c, st.f, b.element());
  }

  template <class C>
  GRADWIRE_LANES_INLINE static V selected(state& st, const block& b) noexcept {
    alignas(64) T values[V::width];
    const double* const from = static_cast<array_slot<C>&>(st.c.array).store + b.element();
    for (int i = 0; i < V::width; ++i) values[i] = static_cast<T>(from[i]);
    return V::load(values);
  }

  template <class C>
  GRADWIRE_LANES_INLINE static void add_value(state& st, const block& b) noexcept {
    const V x = static_cast<slot_in<body_of<C>, row_frame>>(st.f).value;
    if constexpr (crossing_traits<C>::coupled) {  // a selection over the batch needs every value
      for (int i = 0; i < V::width; ++i)
        static_cast<array_slot<C>&>(st.c.array).store[b.element() + static_cast<std::size_t>(i)] =
            b.unmasked[i] ? static_cast<double>(x[i]) : -__builtin_inf();
    } else if constexpr (std::is_same_v<kind_t<C>, weighted_sum>) {
      static_cast<collector_slot<C, V>&>(st.collected).collected.add(x * b.w, b.unmasked);
    } else {
      static_cast<collector_slot<C, V>&>(st.collected)
          .collected.add(x, std::is_same_v<kind_t<C>, plain_sum> ? b.valid : b.unmasked);
    }
  }

  // Adds adjoint · weight · d body / d input J of one reduction.
  template <class C, int J>
  GRADWIRE_LANES_INLINE static void pull_back(state& st, const block& b, V& masked, V& everywhere) noexcept {
    using body = body_of<C>;
    if constexpr (depends_on<body, inputs, J>) {
      V d = static_cast<adjoint_slot<C, V>&>(st.adjoints).adjoint *
            static_cast<slot_in<body, row_frame>>(st.f).tangent[J];
      if constexpr (guarded) d = select_or_zero(static_cast<moves_slot<C, V>&>(st.moves).moves, d);
      if constexpr (std::is_same_v<kind_t<C>, plain_sum>)
        everywhere = everywhere + d;
      else if constexpr (std::is_same_v<kind_t<C>, weighted_sum>)
        masked = first_masked<C, J>() ? d * b.w : masked + d * b.w;
      else
        masked = first_masked<C, J>() ? d : masked + d;
    }
  }
  // Is C the first of the reductions that pull_back adds up? Then there is nothing to add to.
  template <class C, int J, class... Cs>
  static constexpr bool first_of(list<Cs...>) {
    int before = 0;
    bool reached = false;
    ((reached = reached || std::is_same_v<C, Cs>,
      before += !reached && !std::is_same_v<kind_t<Cs>, plain_sum> && depends_on<body_of<Cs>, inputs, J>),
     ...);
    return before == 0;
  }
  template <class C, int J>
  static constexpr bool first_masked() {
    return first_of<C, J>(sloped{});
  }
  template <class... Cs>
  static constexpr bool any_plain(list<Cs...>) {  // does a reduction run over masked positions too?
    return (std::is_same_v<kind_t<Cs>, plain_sum> || ...);
  }

  template <class I, class... Cs>
  GRADWIRE_LANES_INLINE static void write_slope(list<Cs...>, state& st, const block& b) noexcept {
    constexpr int j = index_in<I>(inputs{});
    constexpr bool add = types::adds || types::first_writer(inputs{}) != j;
    V masked = V::broadcast(0), everywhere = masked;
    (pull_back<Cs, j>(st, b, masked, everywhere), ...);
    V g = select_or_zero(b.unmasked, masked);
    if constexpr (any_plain(sloped{})) g = g + select_or_zero(b.valid, everywhere);
    if constexpr (I::level > extent::token) {
      static_cast<collector_slot<I, V>&>(st.import_sums).collected.add(g, V::mask_type::broadcast(true));
    } else if constexpr (std::is_same_v<I, variable>) {
      write<add>(st.c.slope + b.element(), g);
    } else {  // a reduction over candidates: on to each of its K variables
      const auto moves = b.unmasked & (g != V::broadcast(0));
      for_each_candidate<I, candidate_inputs<variable>>(
          st.c, st.f, b.element(), [&](std::size_t at, auto& candidate) [[gnu::always_inline]] {
            write<add>(
                st.c.slope + at,
                select_or_zero(
                    moves, g * static_cast<slot_in<body_of<I>, std::remove_reference_t<decltype(candidate)>>>(candidate)
                                   .tangent[0]));
          });
    }
  }
  template <bool Add>
  GRADWIRE_LANES_INLINE static void write(T* to, V x) noexcept {
    if constexpr (Add) x = x + V::load(to);
    x.store(to);
  }

  template <class... Es, class... Cs, class... Is>
  GRADWIRE_LANES_INLINE static void run_block(list<Es...>, list<Cs...>, list<Is...>, state& st,
                                              const block& b) noexcept {
    (evaluate<Es>(st, b), ...);
    (add_value<Cs>(st, b), ...);
    (write_slope<Is>(sloped{}, st, b), ...);
  }

  // ---- after a row ----

  template <class C>
  static void keep_value(state& st) {
    if constexpr (!crossing_traits<C>::coupled)
      static_cast<array_slot<C>&>(st.c.array).value[st.s] =
          static_cast<collector_slot<C, V>&>(st.collected).collected.total();
    if constexpr (is_divisor<kind_t<C>>) {  // no adjoint: its place keeps whether any term was not 0
      static_assert(!reads<body_of<C>, variable>,
                    "gradwire: a denominator may read data, never the field in wrt(...); divide explicitly if the "
                    "quotient is what you mean");
      static_cast<array_slot<C>&>(st.c.array).adjoint[st.s] =
          static_cast<collector_slot<C, V>&>(st.collected).collected.any();
    }
  }
  template <class... Cs, class... Is>
  static void end_row(list<Cs...>, list<Is...>, state& st) {
    (keep_value<Cs>(st), ...);
    ((static_cast<array_slot<import_of<Is>>&>(st.c.array).adjoint[st.s] =
          static_cast<collector_slot<Is, V>&>(st.import_sums).collected.total()),
     ...);
  }

  // The sequences first … last - 1, which begin in group g.
  [[gnu::noinline]] static void run(Context& c, std::size_t first, std::size_t last, std::size_t g) {
    const T* const weights = c.batch.data(fields::weights);
    constexpr auto width = static_cast<std::size_t>(V::width);
    for (std::size_t s = first; s < last; ++s) {
      while (s >= c.shape.group_begin[g + 1]) ++g;
      const std::size_t begin = c.shape.offset[s], length = c.shape.length[s];
      state st{c, s, {}, {}, {}, {}, {}, {}};
      begin_row(imports{}, columns{}, sloped{}, st, g);
      const T* const w_row = weights + begin;
      for (std::size_t i = 0; i < length; i += width) {
        const V w = V::load(w_row + i);
        const auto unmasked = w != V::broadcast(0);
        auto valid = unmasked;
        if constexpr (any_plain(all{}))
          valid = V::iota() + V::broadcast(static_cast<T>(i)) < V::broadcast(static_cast<T>(length));
        run_block(nodes{}, valued{}, inputs{}, st, block{begin, i, w, unmasked, valid});
      }
      end_row(valued{}, active_imports{}, st);
    }
  }
};

}  // namespace formula
}  // namespace gradwire::inline v0
