// SPDX-License-Identifier: Apache-2.0
// Datums that belong together: the samples of one prompt, or a preference pair,
//
//   batch data{group(d1, d2, d3), group(range_of_datums)};
//   batch pairs{group(chosen(c), rejected(r)), …};
#pragma once

#include <cstddef>
#include <utility>

#include <gradwire/datum/datum.hpp>
#include <gradwire/datum/layout.hpp>

namespace gradwire::inline v0 {

template <class List>
struct datum_group {
  detail::datum_cores members;
};

template <class List, unsigned char Role>
struct datum_in_role {
  datum<List> value;
};

template <class List>
datum_in_role<List, chosen_role> chosen(const datum<List>& preferred) {
  return {preferred};
}
template <class List>
datum_in_role<List, rejected_role> rejected(const datum<List>& other) {
  return {other};
}

namespace detail {

template <class X>
inline constexpr bool is_datum = false;
template <class List>
inline constexpr bool is_datum<datum<List>> = true;

template <class List, class Other>
void add_datum(datum_cores& members, const Other& other, unsigned char role) {
  constexpr bool same = std::is_convertible_v<const Other&, datum<List>>;
  static_assert(
      same, "gradwire: the datums of a batch carry different columns; give every datum the same fields, in any order");
  if constexpr (std::is_same_v<Other, datum<List>>) {
    members.add(other.core(), role);
  } else if constexpr (same) {
    members.add(datum<List>(other).core(), role);
  }
}

}  // namespace detail

template <class List, class... Others>
datum_group<List> group(const datum<List>& first, const Others&... others) {
  datum_group<List> result;
  (detail::add_datum<List>(result.members, first, no_role), ...,
   detail::add_datum<List>(result.members, others, no_role));
  return result;
}

template <std::ranges::range Range>
requires(detail::is_datum<std::ranges::range_value_t<Range>>) auto group(const Range& datums) {
  return [&]<class List>(const datum<List>*) {
    datum_group<List> result;
    for (const datum<List>& each : datums) result.members.add(each.core(), no_role);
    return result;
  }(static_cast<const std::ranges::range_value_t<Range>*>(nullptr));
}

// A preference pair, in either order.
template <class List, unsigned char First, class Other, unsigned char Second>
datum_group<List> group(const datum_in_role<List, First>& first, const datum_in_role<Other, Second>& second) {
  static_assert(First != Second, "gradwire: a preference pair has one chosen and one rejected datum");
  datum_group<List> result;
  detail::add_datum<List>(result.members, first.value, First);
  detail::add_datum<List>(result.members, second.value, Second);
  return result;
}

}  // namespace gradwire::inline v0
