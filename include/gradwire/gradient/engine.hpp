// SPDX-License-Identifier: Apache-2.0
// Runs a plan: sweeps over the tokens, the coarse formulas between them, and the way back. The work is cut at fixed
// borders between sequences and every sum has a fixed order, so the result has the same bits at any number of threads.
#pragma once

#include <gradwire/datum/data_error.hpp>
#include <gradwire/gradient/check.hpp>
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

[[noreturn, gnu::noinline, gnu::cold]] inline void bad_weight_sum(std::size_t s, double sum) {
  detail::data_error({.datum = static_cast<std::int64_t>(s), .column = "weights"},
                     {"the loss divides by the sum of the weights, which is ", sum,
                      "; it must be positive, or every weight 0 to mask the sequence. For weights of both signs use a sum, "
                      "or a mean by count"},
                     sum);
}

template <class Context, class Executor>
class engine {
 public:
  using plan = typename Context::plan;
  engine(Context& c, const Executor& executor) : c_(c), executor_(executor) {}

  // Values of everything, and the gradient with respect to the plan's variable.
  void run() {
    forward<0>();
    if constexpr (!plan::fused) {
      seed();
      backward<plan::sweeps, plan::sweeps>();
    }
  }

 private:
  template <class... Cs>
  void coarse_values(list<Cs...>) {
    (coarse_value<Cs>(c_), ...);
  }
  void coarse_slopes(list<>) {}
  template <class First, class... Rest>
  void coarse_slopes(list<First, Rest...>) {  // the last reduction first
    coarse_slopes(list<Rest...>{});
    coarse_slope<First>(c_);
  }
  template <class... Is>
  void import_slopes(list<Is...>) {
    (propagate<Is, extent::sequence>(c_, [&](place at) { return c_.array.template of<import_of<Is>>().adjoint[at.s]; }),
     ...);
  }
  template <class... Cs>
  void select_values(list<Cs...>) {
    (
        [&] {
          if constexpr (crossing_traits<Cs>::coupled) threshold<Cs>();
        }(),
        ...);
  }
  template <class C>
  void threshold() {
    const double fraction = []<class X, class F>(node<top_threshold_op, X, F>*, Context& c) {
      return c.template load<F>(place{});
    }(static_cast<C*>(nullptr), c_);
    std::size_t n = 0;  // the unmasked values to the front
    for (std::size_t i = 0; i < c_.shape.padded(); ++i)
      if (c_.store[i] != -__builtin_inf()) c_.store[n++] = c_.store[i];
    auto k = static_cast<std::size_t>(fraction * static_cast<double>(n));
    k = k < 1 ? 1 : k > n ? n : k;
    c_.array.template of<C>().value[0] = n ? kth_largest(c_.store, n, k) : __builtin_inf();
  }

  void seed() {
    propagate<typename plan::root, extent::batch>(c_, [](place) { return 1.0; });
  }

  template <int Rank, bool Values, bool Slopes>
  void sweep_tokens() {
    using this_sweep = sweep<Context, Rank, Values, Slopes>;
    if constexpr (this_sweep::all::size > 0) {
      const layout& shape = c_.shape;
      const std::size_t sequences = shape.sequences();
      const std::size_t pieces = (shape.padded() + piece_tokens - 1) / piece_tokens;
      const auto first_from = [&](std::size_t element) {  // the first sequence that begins at or after an element
        std::size_t low = 0, high = sequences;
        while (low < high) {
          const std::size_t middle = low + (high - low) / 2;
          if (shape.offset[middle] < element)
            low = middle + 1;
          else
            high = middle;
        }
        return low;
      };
      executor_(pieces, [&](std::size_t piece) {
        const std::size_t first = first_from(piece * piece_tokens), last = first_from((piece + 1) * piece_tokens);
        if (first == last) return;
        std::size_t low = 0, high = shape.groups();  // the group of the first sequence
        while (high - low > 1) {
          const std::size_t middle = low + (high - low) / 2;
          if (shape.group_begin[middle] <= first)
            low = middle;
          else
            high = middle;
        }
        this_sweep::run(c_, first, last, low);
      });
    }
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
      backward<plan::gradient_rank, plan::gradient_rank>();
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

  template <int Rank, int Start>
  void backward() {
    coarse_slopes(typename plan::template coarse_slopes_at<Rank>{});
    if constexpr (Rank > 0) {
      sweep_tokens_back<Rank - 1>();
      backward<Rank - 1, Start>();
    }
  }
  template <int Rank>
  void sweep_tokens_back() {
    sweep_tokens<Rank, false, true>();
    import_slopes(typename sweep<Context, Rank, false, true>::active_imports{});
  }

  Context& c_;
  const Executor& executor_;
};

}  // namespace formula
}  // namespace gradwire::inline v0
