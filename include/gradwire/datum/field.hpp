// SPDX-License-Identifier: Apache-2.0
// A field is the name of a column, as an empty value: it stands for the column in formulas and takes values in data,
//
//   inline constexpr field<"entropy", per_token> entropy{};          // a column of one's own
//   inline constexpr field<"skill", per_sequence, "skill", role::learned> skill{};   // what a model of one's own says
//   datum{prompt(q) + response(a), entropy = values};                // its values
//
// `field = values` copies an lvalue, moves an rvalue, borrows a `view(x)` and evaluates an adapter's lazy expression
// once.
#pragma once

#include <initializer_list>
#include <utility>

#include <gradwire/datum/extent.hpp>
#include <gradwire/datum/fixed_string.hpp>
#include <gradwire/datum/numbers.hpp>
#include <gradwire/datum/role.hpp>
#include <gradwire/datum/token_context.hpp>

namespace gradwire::inline v0 {

// A field at run time.
struct field_info {
  const char* name = "";
  const char* wire_name = "";  // its key in loss_fn_inputs
  extent level = extent::token;
  bool identity = false;  // whole numbers that name something
};

template <class Field, class Values>
struct named_column {
  using field_type = Field;
  Values values;  // numbers, number_rows, a column<T>, or a mask
};

namespace detail {

template <class Field, class X>
auto name_column(X&& x) {
  if constexpr (takeable<X>) {
    using values = decltype(take(std::forward<X>(x)));
    return named_column<Field, values>{take(std::forward<X>(x))};
  } else {
    static_assert(
        token_mask<X>,
        "gradwire: a column takes a number, a contiguous range of numbers (std::vector<bool> is none), a range of "
        "such ranges, or for weights a mask; include gradwire/adapt/xtensor.hpp or gradwire/adapt/eigen.hpp for "
        "arrays of those libraries");
    if constexpr (token_mask<X>) {
      return named_column<Field, plain<X>>{std::forward<X>(x)};
    } else {
      return named_column<Field, numbers>{};  // one error is enough
    }
  }
}

}  // namespace detail

template <fixed_string Name, extent Extent, fixed_string WireName = Name, role Role = role::none>
struct field {
  using expression_tag = void;  // a field is an expression
  static constexpr auto name = Name;
  static constexpr auto wire_name = WireName;
  static constexpr extent level = Extent;
  static constexpr role column_role = Role;
  static constexpr field_info info{Name.data, WireName.data, Extent, Role == role::identity};

  template <class X>
  constexpr auto operator=(X&& values) const {
    return detail::name_column<field>(std::forward<X>(values));
  }
  auto operator=(std::initializer_list<double> values) const {
    return named_column<field, numbers>{
        detail::copied({.data = values.begin(), .size = values.size(), .kind = number_kind::float64})};
  }
};

// Token ids that are no column of numbers: explicit targets, and the K candidates of every target.
template <fixed_string Name>
struct id_field {
  static constexpr auto name = Name;
  static constexpr field_info info{Name.data, "target_tokens",
                                   Name == fixed_string("candidates") ? per_candidate : per_token};

  template <class X>
  constexpr auto operator=(X&& ids) const {
    return detail::name_column<id_field>(std::forward<X>(ids));
  }
  auto operator=(std::initializer_list<std::int64_t> ids) const {
    return named_column<id_field, numbers>{
        detail::copied({.data = ids.begin(), .size = ids.size(), .kind = number_kind::int64})};
  }
};

template <class X>
inline constexpr bool is_id_field = false;
template <fixed_string Name>
inline constexpr bool is_id_field<id_field<Name>> = true;

}  // namespace gradwire::inline v0
