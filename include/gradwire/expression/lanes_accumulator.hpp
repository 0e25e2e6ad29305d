// SPDX-License-Identifier: Apache-2.0
// A sum over blocks, always in double and in a fixed order.
#pragma once

#include <gradwire/expression/lanes.hpp>

namespace gradwire::inline v0 {

// Two levels: an inner sum of up to 64 additions a lane, flushed into an outer one that also keeps what its own
// roundings lost, so that the error stays that of 64 additions, about 1e-15, however long the row. Floats are widened
// first.
template <class T, class Isa>
struct accumulator {
  using wide = typename lanes<double, Isa>::vector_type;
  static constexpr int parts = sizeof(double) / sizeof(T);  // blocks of doubles in a block of T
  static constexpr int block = 64;

  wide inner[parts]{}, outer[parts]{}, lost[parts]{};
  int pending = 0;

  GRADWIRE_LANES_INLINE void add(lanes<T, Isa> x) {
    if constexpr (parts == 1) {
      inner[0] += x.v;
    } else {
      typedef float half __attribute__((vector_size(Isa::bytes / 2)));
      half low, high;
      constexpr int n = lanes<double, Isa>::width;
      if constexpr (n == 2) {
        low = __builtin_shufflevector(x.v, x.v, 0, 1), high = __builtin_shufflevector(x.v, x.v, 2, 3);
      } else if constexpr (n == 4) {
        low = __builtin_shufflevector(x.v, x.v, 0, 1, 2, 3), high = __builtin_shufflevector(x.v, x.v, 4, 5, 6, 7);
      } else {
        low = __builtin_shufflevector(x.v, x.v, 0, 1, 2, 3, 4, 5, 6, 7);
        high = __builtin_shufflevector(x.v, x.v, 8, 9, 10, 11, 12, 13, 14, 15);
      }
      inner[0] += __builtin_convertvector(low, wide);
      inner[1] += __builtin_convertvector(high, wide);
    }
    if (++pending == block) flush();
  }

  GRADWIRE_LANES_INLINE void flush() {
    for (int i = 0; i < parts; ++i) {
      const wide sum = outer[i] + inner[i], taken = sum - outer[i];  // the exact error of a sum (Knuth)
      lost[i] += (outer[i] - (sum - taken)) + (inner[i] - taken);
      outer[i] = sum;
      inner[i] = wide{};
    }
    pending = 0;
  }

  GRADWIRE_LANES_INLINE double total() const {
    wide large = outer[0], small = inner[0] + lost[0];
    if constexpr (parts == 2) large += outer[1], small += inner[1] + lost[1];
    double sum = 0, rest = 0;
    for (int i = 0; i < lanes<double, Isa>::width; ++i) sum += large[i], rest += small[i];
    return sum + rest;
  }
};

}  // namespace gradwire::inline v0
