// SPDX-License-Identifier: Apache-2.0
// Runs a plan: sweeps over the tokens, the coarse formulas between them, and the way back. The work is cut at fixed
// borders between sequences and every sum has a fixed order, so the result has the same bits at any number of threads.
#pragma once

#include <gradwire/datum/data_error.hpp>
#include <gradwire/gradient/check.hpp>
#include <gradwire/gradient/selection.hpp>
#include <gradwire/gradient/sweep.hpp>

namespace gradwire::inline v0 {

// Runs the pieces of a sweep one after another. gradient/threads.hpp has one that uses several threads.
struct serial_executor {
  template <class Piece>
  void operator()(std::size_t pieces, Piece&& piece) const {
    for (std::size_t i = 0; i < pieces; ++i) piece(i);
  }
};

namespace formula {

inline constexpr std::size_t piece_tokens = 4096;  // of a sweep: worth a thread, and small enough to share evenly

inline constexpr std::size_t near_tokens = 512;  // that go through all sweeps at a time, at least

[[noreturn, gnu::noinline, gnu::cold]] inline void bad_weight_sum(std::size_t s, double sum) {
  detail::data_error(
      {.datum = static_cast<std::int64_t>(s), .column = "weights"},
      {"the loss divides by the sum of the weights, which is ", sum,
       "; it must be positive, or every weight 0 to mask the sequence. For weights of both signs use a sum, "
       "or a mean by count"},
      sum);
}

[[noreturn, gnu::noinline, gnu::cold]] inline void bad_own_weight(std::size_t s, double sum) {
  detail::data_error({.datum = static_cast<std::int64_t>(s)},
                     {"a mean of the loss divides by the sum of its own weight, which is ", sum,
                      "; it must be positive, or the weight 0 everywhere. For weights of both signs use a sum"},
                     sum);
}

// The first group or sequence that begins at or after an element.
template <class Begin>
std::size_t first_from(std::size_t element, std::size_t count, Begin begin) {
  std::size_t low = 0, high = count;
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    if (begin(middle) < element)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

// Part: the context is a part of the batch, whose values of the whole batch are not known and whose adjoints are.
template <class Context, class Executor, bool Part = false>
class engine {
 public:
  using plan = typename Context::plan;
  engine(Context& c, const Executor& executor) : c_(c), executor_(executor) {}

  // Values of everything, and the gradient with respect to the plan's variable.
  void run() {
    if constexpr (plan::by_parts && !Part) {
      coarse_values(
          typename plan::template coarse_at<0>{});  // sums of data over the batch, which the loss may divide by
      seed();
      in_pieces(
          [&](std::size_t element) {
            return first_from(element, c_.shape.groups(),
                              [&](std::size_t g) { return c_.shape.offset[c_.shape.group_begin[g]]; });
          },
          [&](std::size_t first, std::size_t last) {
            Context part = c_;
            const auto begin = [&](std::size_t g) { return c_.shape.group_begin[g]; };
            for (std::size_t g = first; g < last; g = part.last_group) {  // some groups that stay in the nearest caches
              part.first_group = g;
              part.last_group = g + 1;
              while (part.last_group < last &&
                     c_.shape.offset[begin(part.last_group)] - c_.shape.offset[begin(g)] < near_tokens)
                ++part.last_group;
              engine<Context, serial_executor, true>(part, serial_executor{}).run();
            }
          });
      batch_values(typename plan::crossings{});
    } else {
      forward<0>();
      if constexpr (!plan::fused) {
        seed();
        backward<plan::sweeps>();
      }
    }
  }

 private:
  // Runs f(first, last) for pieces of the batch, cut where `cut(element)` says.
  template <class Cut, class F>
  void in_pieces(Cut cut, F f) {
    executor_((c_.shape.padded() + piece_tokens - 1) / piece_tokens, [&](std::size_t piece) {
      const std::size_t first = cut(piece * piece_tokens), last = cut((piece + 1) * piece_tokens);
      if (first != last) f(first, last);
    });
  }

  template <class... Cs>
  void batch_values(list<Cs...>) {
    (batch_value_of<Cs>(), ...);
  }
  template <class... Cs>
  void coarse_values(list<Cs...>) {
    (coarse_value_of<Cs>(), ...);
  }
  template <class C>
  void batch_value_of() {
    if constexpr (crossing_traits<C>::to == extent::batch) coarse_value<C>(c_);
  }
  template <class C>
  void coarse_value_of() {  // a part adds nothing up over the batch
    if constexpr (!Part || crossing_traits<C>::to != extent::batch) coarse_value<C>(c_);
  }
  void coarse_slopes(list<>) {}
  template <class First, class... Rest>
  void coarse_slopes(list<First, Rest...>) {  // the last reduction first
    coarse_slopes(list<Rest...>{});
    coarse_slope<First>(c_);
  }
  template <class... Is>
  void import_slopes(list<Is...>) {
    (propagate<Is, extent::sequence>(
         c_, [&](place at) { return static_cast<array_slot<import_of<Is>>&>(c_.array).adjoint[at.s]; }),
     ...);
  }
  template <class... Cs>
  void select_values(list<Cs...>) {
    (select_if<Cs>(), ...);
  }
  template <class C>
  void select_if() {
    if constexpr (crossing_traits<C>::coupled) select(tag<C>{}, c_);
  }

  void seed() {
    if constexpr (!Part) propagate<typename plan::root, extent::batch>(c_, [](place) { return 1.0; });
  }

  template <int Rank, bool Values, bool Slopes>
  void sweep_tokens() {
    using this_sweep = sweep<Context, Rank, Values, Slopes>;
    if constexpr (this_sweep::all::size == 0)
      return;
    else if constexpr (Part)
      this_sweep::run(c_, c_.shape.group_begin[c_.first_group], c_.shape.group_begin[c_.last_group], c_.first_group);
    else
      in_pieces(
          [&](std::size_t element) {
            return first_from(element, c_.shape.sequences(), [&](std::size_t s) { return c_.shape.offset[s]; });
          },
          [&](std::size_t first, std::size_t last) { this_sweep::run(c_, first, last, group_of(c_.shape, first)); });
  }

  template <int Rank>
  void forward() {
    coarse_values(typename plan::template coarse_at<Rank>{});
    if constexpr (Rank < plan::sweeps) {
      if constexpr (plan::fused && Rank == plan::gradient_rank) {
        seed();
        coarse_back<plan::sweeps, Rank>();
        sweep_tokens<Rank, true, true>();
        import_slopes(typename sweep<Context, Rank, true, true>::active_imports{});
      } else {
        sweep_tokens<Rank, true, false>();
      }
      select_values(typename plan::template values_at<Rank>{});
      forward<Rank + 1>();
    } else if constexpr (plan::fused) {
      backward<plan::gradient_rank>();
    }
  }

  // Adjoints of the coarse reductions whose bodies have a rank in (Lowest, Rank].
  template <int Rank, int Lowest>
  void coarse_back() {
    if constexpr (Rank > Lowest) {
      coarse_slopes(typename plan::template coarse_slopes_at<Rank>{});
      coarse_back<Rank - 1, Lowest>();
    }
  }

  template <int Rank>
  void backward() {
    coarse_slopes(typename plan::template coarse_slopes_at<Rank>{});
    if constexpr (Rank > 0) {
      sweep_tokens<Rank - 1, false, true>();
      import_slopes(typename sweep<Context, Rank - 1, false, true>::active_imports{});
      backward<Rank - 1>();
    }
  }

  Context& c_;
  const Executor& executor_;
};

}  // namespace formula
}  // namespace gradwire::inline v0
