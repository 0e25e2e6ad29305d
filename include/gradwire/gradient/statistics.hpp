// SPDX-License-Identifier: Apache-2.0
// Statistics of a set of values and their adjoints: two passes about the smallest value, so that equal values have a
// deviation of exactly 0 and the order of the values hardly shows. Templates on the context, so that two instruction
// sets share no symbol.
#pragma once

#include <gradwire/expression/group.hpp>
#include <gradwire/gradient/context.hpp>

namespace gradwire::inline v0 {
namespace formula {

// A sum that does not depend on the order of its terms to 1e-15: Neumaier's compensation.
struct compensated {
  double sum = 0, error = 0;
  [[gnu::always_inline]] void add(double x) {
    const double next = sum + x;
    error += __builtin_fabs(sum) >= __builtin_fabs(x) ? (sum - next) + x : (x - next) + sum;
    sum = next;
  }
  [[gnu::always_inline]] double total() const { return __builtin_isfinite(sum) ? sum + error : sum; }
};

// The n ≥ 1 values of a set, seen from the smallest: x = low + d, Σ d = sum.
template <class Context>
struct value_set {
  const double* x;
  std::size_t n;
  double low = 0, sum = 0;
  bool equal = true;

  value_set(const double* values, std::size_t size) : x(values), n(size), low(values[0]) {
    for (std::size_t i = 1; i < n; ++i) {
      equal = equal && x[i] == x[0];
      low = x[i] < low ? x[i] : low;
    }
    compensated all;
    for (std::size_t i = 0; i < n; ++i) all.add(x[i] - low);
    sum = equal ? 0 : all.total();
  }
  double count() const { return static_cast<double>(n); }
  double centered(std::size_t i) const { return equal ? 0 : (x[i] - low) - sum / count(); }
  double squares() const {
    compensated all;
    for (std::size_t i = 0; i < n; ++i) all.add(centered(i) * centered(i));
    return all.total();
  }
};

// values: one result (y[0]), or one an element. adjoints: from those of the results to those of the elements.
template <class Statistic, class Context>
struct statistic_of;

template <int Ddof, class Context>
struct statistic_of<standard_deviation<Ddof>, Context> {
  static double deviation(const value_set<Context>& set) {
    return set.equal || set.n <= Ddof ? 0 : __builtin_sqrt(set.squares() / (set.count() - Ddof));
  }
  static void values(const double* x, std::size_t n, double* y) { y[0] = deviation({x, n}); }
  static void adjoints(const double* x, std::size_t n, const double* given, double* out) {
    const value_set<Context> set{x, n};
    const double scale = deviation(set) * (set.count() - Ddof);
    for (std::size_t i = 0; i < n; ++i) out[i] = scale == 0 ? 0 : given[0] * set.centered(i) / scale;
  }
};
template <class Context>
struct statistic_of<centered_value, Context> {
  static void values(const double* x, std::size_t n, double* y) {
    const value_set<Context> set{x, n};
    for (std::size_t i = 0; i < n; ++i) y[i] = set.centered(i);
  }
  static void adjoints(const double*, std::size_t n, const double* given, double* out) {  // its own transpose
    values(given, n, out);
  }
};
template <class Context>
struct statistic_of<mean_of_others, Context> {
  static void values(const double* x, std::size_t n, double* y) {
    const value_set<Context> set{x, n};
    for (std::size_t i = 0; i < n; ++i)
      y[i] = n == 1 ? 0 : set.equal ? x[0] : set.low + (set.sum - (x[i] - set.low)) / (set.count() - 1);
  }
  static void adjoints(const double*, std::size_t n, const double* given, double* out) { values(given, n, out); }
};
template <class Context, bool Largest, bool Second>
struct extreme_of {
  static void values(const double* x, std::size_t n, double* y) {
    double first = x[0], second = x[n > 1];
    for (std::size_t i = 1; i < n; ++i) {
      const bool beats = Largest ? x[i] > first : x[i] < first;
      if (beats || i == 1 || x[i] > second) second = beats ? first : x[i];
      if (beats) first = x[i];
    }
    y[0] = Second ? second : first;
  }
};
template <class Context>
struct statistic_of<highest_value, Context> : extreme_of<Context, true, false> {};
template <class Context>
struct statistic_of<lowest_value, Context> : extreme_of<Context, false, false> {};
template <class Context>
struct statistic_of<second_highest_value, Context> : extreme_of<Context, true, true> {};

// ---- a statistic in the engine ------------------------------------------------------------------------------------
// Its scratch memory, three values a sequence: the set's values, packed at the front of its place; results; adjoints.

template <class C, class Context, class Use>
void for_each_set(Context& c, Use use) {
  if constexpr (crossing_traits<C>::op::over == extent::batch) {
    use(std::size_t{0}, c.shape.sequences(), std::size_t{0});
  } else {
    for (std::size_t g = c.first_group; g < c.last_group; ++g)
      use(c.shape.group_begin[g], c.shape.group_begin[g + 1], g);
  }
}
// Without any w ≠ 0, what comes from tokens is no value, and neither is what is not finite in a column.
template <class C, class Context, class ValueAt>
bool in_set(Context& c, std::size_t s, [[maybe_unused]] ValueAt&& value_at) {
  if constexpr (reduced_over_tokens<body_of<C>>)
    return c.counted(s);
  else
    return c.counted(s) || __builtin_isfinite(value_at(place{s, group_of(c.shape, s)}));
}

template <class C, class Context, class ValueAt>
void statistic_values(Context& c, ValueAt value_at) {
  using op = typename crossing_traits<C>::op;
  auto& slot = static_cast<array_slot<C>&>(c.array);
  double* const x = slot.order;
  double* const y = x + c.shape.sequences();
  for_each_set<C>(c, [&](std::size_t begin, std::size_t end, std::size_t g) {
    std::size_t n = begin;
    for (std::size_t s = begin; s < end; ++s)
      if (in_set<C>(c, s, value_at)) x[n++] = value_at(place{s, op::over == extent::batch ? group_of(c.shape, s) : g});
    y[begin] = 0;
    if (n != begin) statistic_of<typename op::statistic, Context>::values(x + begin, n - begin, y + begin);
    if constexpr (op::statistic::each) {
      std::size_t next = begin;
      for (std::size_t s = begin; s < end; ++s) slot.value[s] = in_set<C>(c, s, value_at) ? y[next++] : 0;
    } else {
      slot.value[g] = y[begin];
    }
  });
}

// The adjoints of the body, one a sequence.
template <class C, class Context, class ValueAt>
const double* statistic_adjoints(Context& c, ValueAt value_at) {
  using op = typename crossing_traits<C>::op;
  auto& slot = static_cast<array_slot<C>&>(c.array);
  double* const x = slot.order;
  double* const y = x + c.shape.sequences();
  double* const out = y + c.shape.sequences();
  for_each_set<C>(c, [&](std::size_t begin, std::size_t end, std::size_t g) {
    std::size_t n = begin;
    for (std::size_t s = begin; s < end; ++s) {
      if (!in_set<C>(c, s, value_at)) continue;
      if constexpr (op::statistic::each) out[n] = slot.adjoint[s];
      ++n;
    }
    const double* const given = op::statistic::each ? out + begin : slot.adjoint + g;
    if (n != begin) statistic_of<typename op::statistic, Context>::adjoints(x + begin, n - begin, given, y + begin);
    std::size_t next = begin;
    for (std::size_t s = begin; s < end; ++s) out[s] = in_set<C>(c, s, value_at) ? y[next++] : 0;
  });
  return out;
}

}  // namespace formula
}  // namespace gradwire::inline v0
