// SPDX-License-Identifier: Apache-2.0
// Datums that belong together: the samples of one prompt, or a preference pair,
//
//   batch data{group(d1, d2, d3), group(range_of_datums)};
//   batch pairs{group(chosen(c), rejected(r)), …};
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include <gradwire/datum/datum.hpp>

namespace gradwire::inline v0 {

template <class List>
struct datum_group {
  std::vector<datum<List>> datums;
  std::vector<unsigned char> roles;  // one a datum
};

template <class List, unsigned char Role>
struct datum_in_role {
  datum<List> value;
};

template <class List>
datum_in_role<List, chosen_role> chosen(datum<List> preferred) {
  return {std::move(preferred)};
}
template <class List>
datum_in_role<List, rejected_role> rejected(datum<List> other) {
  return {std::move(other)};
}

namespace detail {

template <class X>
inline constexpr bool is_datum = false;
template <class List>
inline constexpr bool is_datum<datum<List>> = true;

template <class List, class... Others>
constexpr bool require_same_columns() {
  constexpr bool same = (std::is_convertible_v<Others, datum<List>> && ...);
  static_assert(same,
                "gradwire: the datums of a batch carry different columns; give every datum the same fields, in any order");
  return same;
}

template <class List, unsigned char First, class Other, unsigned char Second>
datum_group<List> make_pair(datum_in_role<List, First> first, datum_in_role<Other, Second> second) {
  datum_group<List> result;
  if constexpr (require_same_columns<List, datum<Other>>()) {
    result.datums.reserve(2);
    result.datums.push_back(std::move(first.value));
    result.datums.push_back(std::move(second.value));
    result.roles = {First, Second};
  }
  return result;
}

}  // namespace detail

template <class List, class... Others>
datum_group<List> group(datum<List> first, Others... others) {
  datum_group<List> result;
  if constexpr (detail::require_same_columns<List, Others...>()) {
    result.datums.reserve(1 + sizeof...(Others));
    result.datums.push_back(std::move(first));
    (result.datums.push_back(std::move(others)), ...);
    result.roles.resize(result.datums.size(), no_role);
  }
  return result;
}

template <class Range>
  requires(detail::is_datum<std::ranges::range_value_t<Range>>)
auto group(const Range& datums) {
  return [&]<class List>(const datum<List>*) {
    datum_group<List> result;
    for (const auto& each : datums) result.datums.push_back(each);
    result.roles.resize(result.datums.size(), no_role);
    return result;
  }(static_cast<const std::ranges::range_value_t<Range>*>(nullptr));
}

// A preference pair, in either order.
template <class List, class Other>
datum_group<List> group(datum_in_role<List, chosen_role> preferred, datum_in_role<Other, rejected_role> other) {
  return detail::make_pair(std::move(preferred), std::move(other));
}
template <class List, class Other>
datum_group<List> group(datum_in_role<List, rejected_role> other, datum_in_role<Other, chosen_role> preferred) {
  return detail::make_pair(std::move(other), std::move(preferred));
}

}  // namespace gradwire::inline v0
