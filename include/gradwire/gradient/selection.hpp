// SPDX-License-Identifier: Apache-2.0
// Selection of tokens over the whole batch, between two sweeps: the first has stored every unmasked token's value.
// Templates on the context, so that two instruction sets share no symbol.
#pragma once

#include <gradwire/expression/selection.hpp>
#include <gradwire/gradient/coarse.hpp>

namespace gradwire::inline v0 {
namespace formula {

// Reorders x so that the first k ≥ 1 of its n elements are those that come first by before(a, b), a strict order;
// returns the last of them. Expected O(n).
template <class Before>
double partition_first(double* x, std::size_t n, std::size_t k, Before before) {
  std::size_t low = 0, high = n - 1;
  const std::size_t want = k - 1;
  while (low < high) {
    const double pivot = x[low + (high - low) / 2];
    std::size_t i = low, j = high;
    while (i <= j) {
      while (before(x[i], pivot)) ++i;
      while (before(pivot, x[j])) --j;
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

// How many of n a given number selects.
[[gnu::always_inline]] inline std::size_t selected_of(double count, std::size_t n) {
  return !(count >= 1) ? 0 : count >= static_cast<double>(n) ? n : static_cast<std::size_t>(count);
}

// The threshold of the largest fraction.
template <class X, class Fraction, class Context>
void select(tag<node<top_threshold_op, X, Fraction>>, Context& c) {
  auto& slot = static_cast<array_slot<node<top_threshold_op, X, Fraction>>&>(c.array);
  double* const values = slot.store;
  std::size_t n = 0;  // the unmasked values to the front
  for (std::size_t i = 0; i < c.shape.padded(); ++i)
    if (values[i] != -__builtin_inf()) values[n++] = values[i];
  const std::size_t k = selected_of(batch_value<Fraction>(c) * static_cast<double>(n), n);
  slot.value[0] = n ? partition_first(values, n, k ? k : 1, [](double a, double b) { return a > b; }) : __builtin_inf();
}

// Every bit of the result depends on every bit of x (splitmix64).
[[gnu::always_inline]] constexpr std::uint64_t mixed(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

template <class Context>
std::uint64_t datum_id(Context& c, std::size_t s) {
  using id_field = std::remove_const_t<decltype(fields::datum_id)>;
  if constexpr (Context::batch_type::template has<id_field>)
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(c.batch.data(id_field{})[s]));
  else
    return s;
}

// 1 in the place of every selected token, 0 elsewhere.
template <class X, class Count, class Seed, class Context>
void select(tag<node<select_op, X, Count, Seed>>, Context& c) {
  auto& slot = static_cast<array_slot<node<select_op, X, Count, Seed>>&>(c.array);
  const std::size_t padded = c.shape.padded();
  double* const value = slot.store;
  double* const index = value + padded;
  double* const hash = index + padded;
  const std::uint64_t seed = mixed(static_cast<std::uint64_t>(batch_value<Seed>(c)));
  std::size_t n = 0;
  for (std::size_t s = 0; s < c.shape.sequences(); ++s) {
    const std::uint64_t of_datum = mixed(seed + datum_id(c, s));
    for (std::size_t t = 0; t < c.shape.length[s]; ++t) {
      const std::size_t e = c.shape.offset[s] + t;
      if (!(value[e] > -__builtin_inf())) continue;
      index[n++] = static_cast<double>(e);
      hash[e] = static_cast<double>(mixed(of_datum + t) >> 11);  // 53 bits
    }
  }
  const std::size_t k = selected_of(batch_value<Count>(c), n);
  if (k) {
    partition_first(index, n, k, [&](double a, double b) {
      const auto i = static_cast<std::size_t>(a), j = static_cast<std::size_t>(b);
      return value[i] != value[j] ? value[i] > value[j] : hash[i] != hash[j] ? hash[i] < hash[j] : i < j;
    });
  }
  for (std::size_t e = 0; e < padded; ++e) value[e] = 0;
  for (std::size_t j = 0; j < k; ++j) value[static_cast<std::size_t>(index[j])] = 1;
}

}  // namespace formula
}  // namespace gradwire::inline v0
