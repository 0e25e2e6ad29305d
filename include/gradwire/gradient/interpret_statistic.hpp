// SPDX-License-Identifier: Apache-2.0
// Order, and the statistics of a set of values with their adjoints, as their definitions say.
#pragma once

#include <cstdint>
#include <gradwire/gradient/tree_node.hpp>

namespace gradwire::inline v0 {
namespace formula {

// Indices 0 … n - 1 in an order: merge sort, so that equal elements stay as they came.
template <class Less>
std::vector<std::size_t> ordered(std::size_t n, Less less) {
  std::vector<std::size_t> order(n), merged(n);
  for (std::size_t i = 0; i < n; ++i) order[i] = i;
  for (std::size_t run = 1; run < n; run *= 2) {
    for (std::size_t begin = 0; begin < n; begin += 2 * run) {
      const std::size_t middle = begin + run < n ? begin + run : n, end = middle + run < n ? middle + run : n;
      for (std::size_t a = begin, b = middle, to = begin; to < end; ++to)
        merged[to] = b == end || (a < middle && !less(order[b], order[a])) ? order[a++] : order[b++];
    }
    order.swap(merged);
  }
  return order;
}

// The hash that a random selection goes by, of 53 bits: splitmix64 of the seed, then of the datum, then of the
// position.
inline std::uint64_t token_hash(std::uint64_t seed, std::uint64_t datum, std::uint64_t position) {
  std::uint64_t state = 0;
  for (const std::uint64_t next : {seed, datum, position}) {
    state += next + 0x9e3779b97f4a7c15u;
    state = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9u;
    state = (state ^ (state >> 27)) * 0x94d049bb133111ebu;
    state ^= state >> 31;
  }
  return state >> 11;
}

// The members of one group or of the batch.
struct statistic_set {
  std::size_t at = 0;                // element of the statistic, where it is one value a set
  std::vector<std::size_t> element;  // of each member
  std::vector<double> x;

  void add(std::size_t e, double value) {
    element.push_back(e);
    x.push_back(value);
  }
  double size() const { return static_cast<double>(x.size()); }
  bool equal() const {
    for (const double each : x)
      if (each != x[0]) return false;
    return true;
  }
  // x − mean, twice: what rounding leaves of the first is a mean too.
  static std::vector<double> centered(std::vector<double> x) {
    bool same = true;
    for (const double each : x) same = same && each == x[0];
    for (int pass = 0; pass < 2; ++pass) {
      double mean = 0;
      for (const double each : x) mean += each;
      mean /= static_cast<double>(x.size());
      for (double& each : x) each = same ? 0 : each - mean;
    }
    return x;
  }
  double deviation(double ddof) const {
    double squares = 0;
    for (const double d : centered(x)) squares += d * d;
    return equal() || size() <= ddof ? 0 : __builtin_sqrt(squares / (size() - ddof));
  }
  static std::vector<double> means_of_others(const std::vector<double>& x) {
    std::vector<double> result(x.size(), 0.0);
    for (std::size_t i = 0; i < x.size() && x.size() > 1; ++i) {
      for (std::size_t j = 0; j < x.size(); ++j)
        if (j != i) result[i] += x[j];
      result[i] /= static_cast<double>(x.size() - 1);
    }
    return result;
  }

  void values(const tree_node& n, std::vector<double>& to) const {
    if (n.is(reduction_kind::deviation)) {
      to[at] = deviation(n.value);
    } else if (n.is(reduction_kind::centered) || n.is(reduction_kind::mean_of_others)) {
      const auto each = n.is(reduction_kind::centered) ? centered(x) : means_of_others(x);
      for (std::size_t i = 0; i < x.size(); ++i) to[element[i]] = each[i];
    } else {
      const auto order = ordered(x.size(), [&](std::size_t i, std::size_t j) { return x[i] > x[j]; });
      const std::size_t last = x.size() - 1;
      to[at] = x[order[n.is(reduction_kind::highest) ? 0 : n.is(reduction_kind::lowest) ? last : last < 1 ? last : 1]];
    }
  }

  // give(element, dL/dx) from the adjoints of the results.
  template <class Give>
  void adjoints(const tree_node& n, const std::vector<double>& adjoint, Give give) const {
    if (n.is(reduction_kind::deviation)) {
      const double scale = deviation(n.value) * (size() - n.value);
      const auto each = centered(x);
      for (std::size_t i = 0; i < x.size() && scale != 0; ++i) give(element[i], adjoint[at] * each[i] / scale);
    } else {  // both matrices are symmetric
      std::vector<double> given;
      for (const std::size_t e : element) given.push_back(adjoint[e]);
      const auto each = n.is(reduction_kind::centered) ? centered(given) : means_of_others(given);
      for (std::size_t i = 0; i < x.size(); ++i) give(element[i], each[i]);
    }
  }
};

}  // namespace formula
}  // namespace gradwire::inline v0
