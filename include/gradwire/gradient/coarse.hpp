// SPDX-License-Identifier: Apache-2.0
// Formulas of one value a sequence, a group or the batch: values upwards, adjoints downwards. This costs O(sequences).
#pragma once

#include <gradwire/gradient/context.hpp>
#include <gradwire/gradient/permutation.hpp>
#include <gradwire/gradient/statistics.hpp>

namespace gradwire::inline v0 {
namespace formula {

// What a coarse formula's adjoint goes to: reductions with a gradient, and the variable if it is a coarse column.
template <class Plan>
struct differentiable_crossing {
  template <class E>
  struct test {
    static constexpr bool value =
        contains<E, typename Plan::active_crossings> || std::is_same_v<E, typename Plan::variable>;
  };
};
template <bool Slopes, class Nodes, class Plan>
struct coarse_inputs {
  using type = list<>;
};
template <class Nodes, class Plan>
struct coarse_inputs<true, Nodes, Plan> {
  using type = typename filter<differentiable_crossing<Plan>::template test, Nodes>::type;
};

// Evaluates a list of subexpressions at one place; leaves come from the context.
template <class E, class Frame, class Context>
inline void run_one(Frame& f, [[maybe_unused]] Context& c, [[maybe_unused]] place at) {
  if constexpr (is_leaf<E, extent::batch>)
    set_leaf<E>(f, Context::number::broadcast(c.template load<E>(at)));
  else
    step<E>::run(f);
}
template <class... Es, class Frame, class Context>
inline void run_coarse(list<Es...>, [[maybe_unused]] Frame& f, [[maybe_unused]] Context& c, [[maybe_unused]] place at) {
  (run_one<Es>(f, c, at), ...);
}

// The program of one expression, with what it is differentiated by.
template <class E, class Context, bool Slopes = false>
struct coarse_program {
  using number = typename Context::number;
  using nodes = program<list<E>, extent::batch>;
  using inputs = typename coarse_inputs<Slopes, nodes, typename Context::plan>::type;
};

template <class E, class Context>
double value_of_body(Context& c, place at) {
  frame<coarse_program<E, Context>> f;
  run_coarse(typename decltype(f)::nodes{}, f, c, at);
  return static_cast<slot_in<E, decltype(f)>>(f).value.v;
}

// Calls f(place) for every element of an extent, in order, within the part of the batch that is worked on.
template <extent Level, class Context, class F>
inline void for_each_place(Context& c, F&& f) {
  if constexpr (Level == extent::batch) {
    f(place{});
  } else {
    for (std::size_t g = c.first_group; g < c.last_group; ++g) {
      if constexpr (Level == extent::group) {
        f(place{c.shape.group_begin[g], g});
      } else {
        for (std::size_t s = c.shape.group_begin[g]; s < c.shape.group_begin[g + 1]; ++s) f(place{s, g});
      }
    }
  }
}

// Does the element at a place take part in the reduction C?
template <class C, class Context>
inline bool takes_part(Context& c, place at) {
  using kind = typename crossing_traits<C>::op::kind;
  if constexpr (std::is_same_v<kind, counted_sum> || std::is_same_v<kind, largest> || std::is_same_v<kind, smallest>) {
    if constexpr (crossing_traits<C>::from == extent::sequence)
      return c.counted(at.s);
    else
      return c.group_counted(at.g);
  } else if constexpr (requires { kind::role; }) {
    return c.shape.role[at.s] == kind::role &&
           (!reduced_over_tokens<typename crossing_traits<C>::body> || c.counted(at.s));
  } else {
    return true;
  }
}

// A value that comes from tokens is no value where there are none.
template <class C, class Context>
inline bool has_tokens([[maybe_unused]] Context& c, [[maybe_unused]] place at) {
  if constexpr (!reduced_over_tokens<typename crossing_traits<C>::body>)
    return true;
  else if constexpr (crossing_traits<C>::from == extent::sequence)
    return c.counted(at.s);
  else
    return c.group_counted(at.g);
}

// And what is not finite in a column takes no part there: the masked sequence's reward may be anything.
template <class C, class Context>
inline bool is_absent(Context& c, place at, double x) {
  if constexpr (crossing_traits<C>::from == extent::sequence)
    return !__builtin_isfinite(x) && !c.counted(at.s);
  else
    return !__builtin_isfinite(x) && !c.group_counted(at.g);
}
template <class C>
inline constexpr bool takes_all = !reduced_over_tokens<body_of<C>>;
template <extent From, extent To, class X>
inline constexpr bool takes_all<node<reduce_op<From, To, plain_sum>, X>> = true;

template <class C, class Context>
[[gnu::noinline]] void coarse_value(Context& c) {
  using traits = crossing_traits<C>;
  using body = typename traits::body;
  double* out = static_cast<array_slot<C>&>(c.array).value;
  const auto value_at = [&](place at) { return value_of_body<body>(c, at); };
  if constexpr (traits::statistical) {
    statistic_values<C>(c, value_at);
  } else if constexpr (traits::coupled) {
    for_each_place<traits::from>(
        c, [&](place at) { out[at.template index<traits::from>()] = has_tokens<C>(c, at) ? value_at(at) : 0.0; });
    couple_values<C>(c, out);
  } else {
    using kind = typename traits::op::kind;
    constexpr bool extreme = std::is_same_v<kind, largest> || std::is_same_v<kind, smallest>;
    if constexpr (extreme) {
      bool any = false;
      double best = 0;
      for_each_place<traits::from>(c, [&](place at) {
        if (!takes_part<C>(c, at)) return;
        const double x = value_at(at);
        if (!any || (std::is_same_v<kind, largest> ? x > best : x < best)) best = x;
        any = true;
      });
      out[0] = best;
    } else if constexpr (traits::to == extent::batch) {
      compensated sum;
      for_each_place<traits::from>(c, [&](place at) {
        if (!takes_part<C>(c, at)) return;
        const double x = value_at(at);
        if (!takes_all<C> || !is_absent<C>(c, at, x)) sum.add(x);
      });
      out[0] = sum.total();
    } else {
      for (std::size_t g = c.first_group; g < c.last_group; ++g) out[g] = 0;
      for_each_place<traits::from>(c, [&](place at) {
        if (!takes_part<C>(c, at)) return;
        const double x = value_at(at);
        if (!takes_all<C> || !is_absent<C>(c, at, x)) out[at.g] += x;
      });
    }
  }
}

// The value of a batch-level formula: the loss, a metric.
template <class E, class Context>
double batch_value(Context& c) {
  return value_of_body<E>(c, place{});
}

// ---- adjoints -----------------------------------------------------------------------------------------------------

// dL/dE at every place of an extent is known: passes it on to the reductions that E reads. For: the reduction of E.
template <class E, extent Level, class For = void, class Context, class Adjoint>
void propagate(Context& c, Adjoint&& adjoint_at) {
  using own = coarse_program<E, Context, true>;
  using inputs = typename own::inputs;
  if constexpr (inputs::size > 0) {
    for_each_place<Level>(c, [&](place at) {
      const double adjoint = adjoint_at(at);
      if (adjoint == 0) return;  // also where the slope would be infinite: nothing flows
      frame<own> f;
      run_coarse(typename own::nodes{}, f, c, at);
      if constexpr (!std::is_void_v<For>) {
        if constexpr (takes_all<For>)
          if (is_absent<For>(c, at, static_cast<slot_in<E, frame<own>>>(f).value.v)) return;
      }
      const auto give = [&]<class... Is>(list<Is...>) {
        (
            [&] {
              constexpr int j = index_in<Is>(inputs{});
              if constexpr (depends_on<E, inputs, j>)
                static_cast<array_slot<Is>&>(c.array).adjoint[at.template index<Is::level>()] +=
                    adjoint * static_cast<slot_in<E, frame<own>>>(f).tangent[j].v;
            }(),
            ...);
      };
      give(inputs{});
    });
  }
}

template <class C, class Context>
[[gnu::noinline]] void coarse_slope(Context& c) {
  using traits = crossing_traits<C>;
  const double* adjoint = static_cast<array_slot<C>&>(c.array).adjoint;
  if constexpr (traits::statistical) {
    const double* const given = statistic_adjoints<C>(c, [&](place at) { return value_of_body<body_of<C>>(c, at); });
    propagate<typename traits::body, traits::from, C>(c, [&](place at) { return given[at.s]; });
  } else if constexpr (traits::coupled) {
    couple_adjoints<C>(c, static_cast<array_slot<C>&>(c.array).adjoint);
    propagate<typename traits::body, traits::from, C>(
        c, [&](place at) { return has_tokens<C>(c, at) ? adjoint[at.template index<traits::from>()] : 0.0; });
  } else {
    propagate<typename traits::body, traits::from, C>(
        c, [&](place at) { return takes_part<C>(c, at) ? adjoint[at.template index<traits::to>()] : 0.0; });
  }
}

}  // namespace formula
}  // namespace gradwire::inline v0
