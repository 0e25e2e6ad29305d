// SPDX-License-Identifier: Apache-2.0
// What an evaluation works on: the batch, the formula's numbers, and for every reduction an array of its values and one
// of its adjoints (dL/dvalue). The arrays lie in a workspace that the caller may keep, so that an evaluation allocates
// nothing.
#pragma once

#include <gradwire/datum/batch.hpp>
#include <gradwire/expression/scalar.hpp>
#include <gradwire/gradient/plan.hpp>

namespace gradwire::inline v0 {

namespace formula {

template <class C>
struct array_slot {
  double* value = nullptr;
  double* adjoint = nullptr;
  double* order = nullptr;  // of a coupled reduction: a permutation and scratch, two values an element
  double* store = nullptr;  // of a selection over the batch: the value of every token, -inf where it is masked
};
template <class List>
struct arrays;
template <class... Cs>
struct arrays<list<Cs...>> : array_slot<Cs>... {
  template <class C>
  static constexpr bool has = contains<C, list<Cs...>>;
};

// The place of an element: sequence s of group g. Coarser loops leave s at the group's first sequence.
struct place {
  std::size_t s = 0, g = 0;
  template <extent Level>
  constexpr std::size_t index() const {
    return Level == extent::sequence ? s : Level == extent::group ? g : 0;
  }
};

// The group that holds a sequence.
inline std::size_t group_of(const layout& shape, std::size_t s) {
  std::size_t low = 0, high = shape.groups();
  while (high - low > 1) {
    const std::size_t middle = low + (high - low) / 2;
    (shape.group_begin[middle] <= s ? low : high) = middle;
  }
  return low;
}

// Of: the evaluation (run.hpp), whose short name stands in the name of every function of the engine.
template <class Of>
struct context {
  using plan = typename Of::plan;
  using batch_type = typename Of::batch;
  using value_type = typename batch_type::value_type;
  using isa = typename Of::isa;
  using number = scalar<isa>;
  using array_type = arrays<typename Of::array_keys>;

  const batch_type& batch;
  const layout& shape;
  constant_table<typename Of::numbers> constants;
  array_type array;
  const double* counted_sizes = nullptr;  // of every group, its sequences with any w ≠ 0; where the formulas read it
  double counted_groups = 0;              // groups with any w ≠ 0
  bool far = false;                       // are the columns larger than a cache that is near?
  std::size_t first_group = 0, last_group = 0;  // of the part of the batch that is worked on
  value_type* slope = nullptr;

  bool counted(std::size_t s) const { return batch.weight_count()[s] != 0; }
  bool group_counted(std::size_t g) const {
    for (std::size_t s = shape.group_begin[g]; s < shape.group_begin[g + 1]; ++s)
      if (counted(s)) return true;
    return false;
  }

  // The value of a coarse leaf at a place.
  template <class E>
  double load(place at) {
    if constexpr (requires { E::what; }) {
      constexpr auto what = E::what;
      if constexpr (what == shape_value::weight_sum) return batch.weight_sum()[at.s];
      if constexpr (what == shape_value::weight_count) return batch.weight_count()[at.s];
      if constexpr (what == shape_value::sequence_length) return static_cast<double>(shape.length[at.s]);
      if constexpr (what == shape_value::group_size)
        return static_cast<double>(shape.group_begin[at.g + 1] - shape.group_begin[at.g]);
      if constexpr (what == shape_value::counted_size) return counted_sizes[at.g];
      if constexpr (what == shape_value::total_weight) return batch.total_weight();
      if constexpr (what == shape_value::total_count) return batch.total_count();
      if constexpr (what == shape_value::sequence_count) return static_cast<double>(shape.sequences());
      if constexpr (what == shape_value::counted_sequences) return static_cast<double>(batch.counted_sequences());
      if constexpr (what == shape_value::group_count) return static_cast<double>(shape.groups());
      if constexpr (what == shape_value::counted_groups) return counted_groups;
    } else if constexpr (requires { E::wire_name; }) {
      return static_cast<double>(batch.data(E{})[at.template index<E::level>()]);
    } else if constexpr (array_type::template has<E>) {
      return static_cast<array_slot<E>&>(array).value[at.template index<E::level>()];
    } else {
      return static_cast<constant_slot<E>&>(constants).value;
    }
  }
};

}  // namespace formula
}  // namespace gradwire::inline v0
