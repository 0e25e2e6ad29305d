// SPDX-License-Identifier: Apache-2.0
// The reductions that couple a whole batch: sums within a partition and sorting. In place, without
// <algorithm>: the core stays cheap to include.
#pragma once

#include <gradwire/gradient/context.hpp>

namespace gradwire::inline v0 {
namespace formula {

// Heap sort of n indices, held as doubles, by less(i, j). No memory, O(n log n) always.
template <class Less>
void sort_indices(double* index, std::size_t n, Less less) {
  const auto at = [&](std::size_t i) { return static_cast<std::size_t>(index[i]); };
  const auto sift = [&](std::size_t root, std::size_t end) {
    for (std::size_t child; (child = 2 * root + 1) < end; root = child) {
      if (child + 1 < end && less(at(child), at(child + 1))) ++child;
      if (!less(at(root), at(child))) return;
      std::swap(index[root], index[child]);
    }
  };
  for (std::size_t i = n / 2; i-- > 0;) sift(i, n);
  for (std::size_t end = n; end-- > 1;) {
    std::swap(index[0], index[end]);
    sift(0, end);
  }
}

template <class C>
struct coupling;

// Equal keys share the sum of their elements, value and adjoint alike: the operation is its own transpose.
template <class Field, class X>
struct coupling<node<within_op<Field>, X>> {
  template <class Context>
  static void share(Context& c, double* x, double* order) {
    const auto* key = c.batch.data(Field{});
    const std::size_t n = c.shape.sequences();
    const auto is_nan = [&](std::size_t i) { return key[i] != key[i]; };  // of a masked sequence: a part of their own
    const auto same = [&](std::size_t i, std::size_t j) { return key[i] == key[j] || (is_nan(i) && is_nan(j)); };
    for (std::size_t i = 0; i < n; ++i) order[i] = static_cast<double>(i);
    sort_indices(order, n, [&](std::size_t i, std::size_t j) {
      return same(i, j) ? i < j : !is_nan(i) && (is_nan(j) || key[i] < key[j]);
    });
    for (std::size_t begin = 0, end; begin < n; begin = end) {
      double sum = 0;
      const auto first = static_cast<std::size_t>(order[begin]);
      for (end = begin; end < n && same(static_cast<std::size_t>(order[end]), first); ++end)
        sum += x[static_cast<std::size_t>(order[end])];
      for (std::size_t i = begin; i < end; ++i) x[static_cast<std::size_t>(order[i])] = sum;
    }
  }
  template <class Context>
  static void values(Context& c, double* x, double* order) {
    if constexpr (!reduced_over_tokens<X>)
      for (std::size_t i = 0; i < c.shape.sequences(); ++i)
        if (!__builtin_isfinite(x[i]) && !c.counted(i)) x[i] = 0;
    share(c, x, order);
  }
  template <class Context>
  static void adjoints(Context& c, double* x, double* order) {
    share(c, x, order);
  }
};

// The i-th element that takes part gets the i-th smallest of their values. What comes from tokens is no value where
// there are none, nor what is not finite in a column: such an element keeps it. `order` keeps the permutation for the
// way back, behind it is scratch.
template <extent Level, class X>
struct coupling<node<sort_op<Level>, X>> {
  template <class Context, class Use>
  static void for_each_part(Context& c, Use use) {
    const std::size_t n = Level == extent::group ? c.shape.groups() : c.shape.sequences();
    const double* const values = static_cast<array_slot<node<sort_op<Level>, X>>&>(c.array).value;
    for (std::size_t i = 0; i < n; ++i)
      if ((Level == extent::group ? c.group_counted(i) : c.counted(i)) ||
          (!reduced_over_tokens<X> && __builtin_isfinite(values[i])))
        use(i);
  }
  template <class Context>
  static void values(Context& c, double* x, double* order) {
    std::size_t n = 0;
    for_each_part(c, [&](std::size_t i) { order[n++] = static_cast<double>(i); });
    double* const scratch = order + n;
    sort_indices(order, n, [&](std::size_t i, std::size_t j) { return x[i] < x[j] || (x[i] == x[j] && i < j); });
    for (std::size_t j = 0; j < n; ++j) scratch[j] = x[static_cast<std::size_t>(order[j])];
    n = 0;
    for_each_part(c, [&](std::size_t i) { x[i] = scratch[n++]; });
  }
  template <class Context>
  static void adjoints(Context& c, double* x, double* order) {
    std::size_t n = 0, next = 0;
    for_each_part(c, [&](std::size_t) { ++n; });
    double* const scratch = order + n;
    for_each_part(c, [&](std::size_t i) { scratch[next++] = x[i]; });
    for (std::size_t j = 0; j < n; ++j) x[static_cast<std::size_t>(order[j])] = scratch[j];
  }
};

template <class C, class Context>
void couple_values(Context& c, double* x) {
  coupling<C>::values(c, x, static_cast<array_slot<C>&>(c.array).order);
}
template <class C, class Context>
void couple_adjoints(Context& c, double* x) {
  coupling<C>::adjoints(c, x, static_cast<array_slot<C>&>(c.array).order);
}

}  // namespace formula
}  // namespace gradwire::inline v0
