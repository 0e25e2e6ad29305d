// SPDX-License-Identifier: Apache-2.0
// The reductions that couple a whole batch: sums within a partition, sorting, the largest tokens. In place, without
// <algorithm>: the core stays cheap to include.
#pragma once

#include <gradwire/gradient/context.hpp>

namespace gradwire::inline v0 {
namespace formula {

// Heap sort of the indices 0 … n-1, held as doubles, by less(i, j). No memory, O(n log n) always.
template <class Less>
void sort_indices(double* index, std::size_t n, Less less) {
  for (std::size_t i = 0; i < n; ++i) index[i] = static_cast<double>(i);
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

// The k-th largest (k ≥ 1) of n values; reorders them. Expected O(n).
inline double kth_largest(double* x, std::size_t n, std::size_t k) {
  std::size_t low = 0, high = n - 1, want = k - 1;
  while (low < high) {
    const double pivot = x[low + (high - low) / 2];
    std::size_t i = low, j = high;
    while (i <= j) {
      while (x[i] > pivot) ++i;
      while (x[j] < pivot) --j;
      if (i <= j) {
        std::swap(x[i], x[j]);
        ++i;
        if (j == 0) break;
        --j;
      }
    }
    if (want <= j)
      high = j;
    else if (want >= i)
      low = i;
    else
      break;
  }
  return x[want];
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
    share(c, x, order);
  }
  template <class Context>
  static void adjoints(Context& c, double* x, double* order) {
    share(c, x, order);
  }
};

template <extent Level, class X>
struct coupling<node<sort_op<Level>, X>> {
  template <class Context>
  static std::size_t size(Context& c) {
    return Level == extent::group ? c.shape.groups() : c.shape.sequences();
  }
  template <class Context>
  static void values(Context& c, double* x, double* order) {  // order keeps the permutation for the way back
    const std::size_t n = size(c);
    double* const scratch = order + n;
    sort_indices(order, n, [&](std::size_t i, std::size_t j) { return x[i] < x[j] || (x[i] == x[j] && i < j); });
    for (std::size_t i = 0; i < n; ++i) scratch[i] = x[static_cast<std::size_t>(order[i])];
    for (std::size_t i = 0; i < n; ++i) x[i] = scratch[i];
  }
  template <class Context>
  static void adjoints(Context& c, double* x, double* order) {
    const std::size_t n = size(c);
    double* const scratch = order + n;
    for (std::size_t i = 0; i < n; ++i) scratch[static_cast<std::size_t>(order[i])] = x[i];
    for (std::size_t i = 0; i < n; ++i) x[i] = scratch[i];
  }
};

template <class C, class Context>
void couple_values(Context& c, double* x) {
  coupling<C>::values(c, x, c.array.template of<C>().order);
}
template <class C, class Context>
void couple_adjoints(Context& c, double* x) {
  coupling<C>::adjoints(c, x, c.array.template of<C>().order);
}

}  // namespace formula
}  // namespace gradwire::inline v0
