// SPDX-License-Identifier: Apache-2.0
// Where the arrays of an evaluation lie in its workspace.
#pragma once

#include <gradwire/gradient/context.hpp>
#include <gradwire/gradient/sweep_plan.hpp>

namespace gradwire::inline v0 {
namespace formula {

template <class F>
struct array_size {  // of a reduction: values, adjoints, and for sorting and statistics scratch memory
  static std::size_t elements(const layout& shape) {
    constexpr extent to = crossing_traits<F>::to;
    return to == extent::candidate || to == extent::token ? 0
           : to == extent::sequence                       ? shape.sequences()
           : to == extent::group                          ? shape.groups()
                                                          : 1;
  }
  static constexpr bool stores = crossing_traits<F>::coupled && crossing_traits<F>::from == extent::token;
  static constexpr std::size_t stored = crossing_traits<F>::selects ? 3 : 1;  // values; indices and hashes
  static std::size_t total(const layout& shape) {
    return (crossing_traits<F>::coupled ? 4 : 2) * elements(shape) + (stores ? stored * shape.padded() : 0) +
           (crossing_traits<F>::statistical ? 3 * shape.sequences() : 0);
  }
  static void place(array_slot<F>& slot, double* memory, const layout& shape) {
    slot = {memory, memory + elements(shape), memory + 2 * elements(shape), nullptr};
    if constexpr (stores) {
      slot.store = memory + 4 * elements(shape);
      for (std::size_t i = 0; i < shape.padded(); ++i) slot.store[i] = -__builtin_inf();
    }
  }
};
template <class E>
struct array_size<import_of<E>> {
  static std::size_t total(const layout& shape) { return shape.sequences(); }
  static void place(array_slot<import_of<E>>& slot, double* memory, const layout&) {
    slot = {nullptr, memory, nullptr, nullptr};
  }
};

template <fixed_string Name, extent Level, fixed_string Wire, role Role>
struct array_size<field<Name, Level, Wire, Role>> {  // a per-sequence variable: its slope in double
  static std::size_t total(const layout& shape) { return shape.sequences(); }
  static void place(array_slot<field<Name, Level, Wire, Role>>& slot, double* memory, const layout&) {
    slot = {nullptr, memory, nullptr, nullptr};
  }
};

template <class... Fs>
std::size_t array_doubles(list<Fs...>, const layout& shape) {
  return (array_size<Fs>::total(shape) + ... + std::size_t{0});
}
template <class... Fs>
void place_arrays(list<Fs...>, arrays<list<Fs...>>& all, double* memory, const layout& shape) {
  ((array_size<Fs>::place(static_cast<array_slot<Fs>&>(all), memory, shape), memory += array_size<Fs>::total(shape)),
   ...);
}

}  // namespace formula
}  // namespace gradwire::inline v0
