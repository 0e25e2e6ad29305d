// SPDX-License-Identifier: Apache-2.0
// Numbers of any arithmetic type as the library takes them in: `prompt(x)` and `field = x` turn x into this. An rvalue
// container moves in, an lvalue is copied, `view(x)` borrows (x must outlive the datum and the batch made from it is
// then free of it). One type, so that what comes after is compiled once and not for every container.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <gradwire/datum/dynamic_array.hpp>
#include <gradwire/datum/shared.hpp>

namespace gradwire::inline v0 {

enum class number_kind : unsigned char { float32, float64, int8, int16, int32, int64, uint8, uint16, uint32, uint64 };

struct numbers {
  const void* data = nullptr;
  std::size_t size = 0;
  number_kind kind = number_kind::float32;
  bool single = false;                      // one number that has no memory: `value`
  bool response_only = false;               // placed: zeros at the targets of prompts stand for no value
  std::size_t width = 0;                    // values a row of a matrix [rows, width], row-major; 0: no matrix
  double value = 0;                         // of a single
  detail::shared<detail::counted> owner{};  // keeps data alive; none: borrowed
};

// `advantage = 0.7`
struct single_number {
  double value = 0;
  number_kind kind = number_kind::float64;
};

// A range of ranges: one row a sequence, or one row a token (candidates).
struct number_rows {
  detail::dynamic_array<numbers> rows;
};

// Adapters specialise this for types that are not contiguous ranges: `static numbers take(const Source&)` evaluates the
// source once. It may return number_rows or a column<T> as well.
template <class Source>
struct column_source;

namespace detail {

template <class X>
using plain = std::remove_cv_t<std::remove_reference_t<X>>;

template <class X>
concept arithmetic = std::is_arithmetic_v<X> && !std::is_same_v<X, long double> && !std::is_same_v<X, char> &&
                     !std::is_same_v<X, wchar_t> && !std::is_same_v<X, char8_t> && !std::is_same_v<X, char16_t> &&
                     !std::is_same_v<X, char32_t>;

template <class X>
concept has_source = requires {
  sizeof(column_source<plain<X>>);
};

// The common case is named, because asking the concepts of ranges takes the compiler longer than all of `take`.
template <class X>
inline constexpr bool is_vector = false;
template <class T, class Allocator>
inline constexpr bool is_vector<std::vector<T, Allocator>> = true;

template <class X>
concept contiguous_numbers = std::ranges::contiguous_range<X> && std::ranges::sized_range<X> &&
    arithmetic<std::remove_cv_t<std::ranges::range_value_t<X>>>;
template <class X>
inline constexpr bool is_number_range = contiguous_numbers<X>;
template <class T, class Allocator>
inline constexpr bool is_number_range<std::vector<T, Allocator>> = arithmetic<T> && !std::is_same_v<T, bool>;

template <class X>
concept number_range = is_number_range<plain<X>>;

template <class X>
concept range_of_rows = !number_range<X> && !has_source<X> && requires(X & x) {
  {*std::ranges::begin(x)};
  std::ranges::end(x);
}
&&(number_range<std::ranges::range_value_t<X>> || has_source<std::ranges::range_value_t<X>>);

template <arithmetic X>
constexpr number_kind kind_of() noexcept {
  if constexpr (std::is_floating_point_v<X>) {
    return sizeof(X) == 4 ? number_kind::float32 : number_kind::float64;
  } else {
    constexpr int log2_size = sizeof(X) == 1 ? 0 : sizeof(X) == 2 ? 1 : sizeof(X) == 4 ? 2 : 3;
    constexpr auto first = std::is_signed_v<X> ? number_kind::int8 : number_kind::uint8;
    return static_cast<number_kind>(static_cast<int>(first) + log2_size);
  }
}

constexpr std::size_t bytes_of(number_kind kind) noexcept {
  constexpr unsigned char bytes[] = {4, 8, 1, 2, 4, 8, 1, 2, 4, 8};
  return bytes[static_cast<unsigned>(kind)];
}

constexpr bool is_integer(number_kind kind) noexcept { return kind > number_kind::float64; }

[[gnu::cold, gnu::noinline]] inline numbers copied(const numbers& from) {
  const std::size_t bytes = from.size * bytes_of(from.kind);
  auto memory = allocate_compact(bytes);
  if (bytes) __builtin_memcpy(memory->data, from.data, bytes);
  return {.data = memory->data, .size = from.size, .kind = from.kind, .owner = std::move(memory)};
}

template <class Container>
struct boxed : counted_object<boxed<Container>> {
  explicit boxed(Container&& from) : container(std::move(from)) {}
  Container container;
};

template <class Range>
inline constexpr number_kind element_kind = kind_of<std::remove_cv_t<std::ranges::range_value_t<Range>>>();
template <class T, class Allocator>
inline constexpr number_kind element_kind<std::vector<T, Allocator>> = kind_of<T>();

// Looks at the values without owning them.
template <class Range>
numbers look_at(const Range& range) {
  if constexpr (is_vector<Range>) {
    return {.data = range.data(), .size = range.size(), .kind = element_kind<Range>};
  } else {  // not ranges::data: a view's data() may be that of the array behind it
    return {.data = std::to_address(std::ranges::begin(range)),
            .size = std::ranges::size(range),
            .kind = element_kind<Range>};
  }
}

// A span or another borrowed range owns nothing that could be moved: its values are copied, like an lvalue's.
template <class Range>
constexpr bool can_move() {
  if constexpr (std::is_lvalue_reference_v<Range> || std::is_const_v<Range> || std::is_array_v<Range>) {
    return false;
  } else if constexpr (is_vector<Range>) {
    return true;
  } else {
    return !std::ranges::borrowed_range<Range>;
  }
}

template <class Range>
numbers take_range(Range&& range) {
  if constexpr (can_move<Range>()) {
    shared<boxed<Range>> owner(new boxed<Range>(std::move(range)));
    numbers result = look_at(owner->container);
    result.owner = std::move(owner);
    return result;
  } else {
    return copied(look_at<plain<Range>>(range));
  }
}

template <class X>
inline constexpr bool is_taken =
    std::is_same_v<X, numbers> || std::is_same_v<X, number_rows> || std::is_same_v<X, single_number>;

template <class X>
auto take(X&& x) {
  using source = plain<X>;
  if constexpr (is_taken<source>) {
    return source(std::forward<X>(x));
  } else if constexpr (arithmetic<source>) {
    return single_number{static_cast<double>(x), kind_of<source>()};
  } else if constexpr (has_source<X>) {
    return column_source<source>::take(std::forward<X>(x));
  } else if constexpr (number_range<source>) {
    return take_range(std::forward<X>(x));
  } else {
    static_assert(range_of_rows<source>);
    number_rows result;
    for (auto&& row : x) {
      if constexpr (std::is_lvalue_reference_v<X>) {
        result.rows.push_back(take(row));
      } else {
        result.rows.push_back(take(std::move(row)));
      }
    }
    return result;
  }
}

template <class X>
concept takeable =
    is_taken<plain<X>> || arithmetic<plain<X>> || has_source<X> || number_range<plain<X>> || range_of_rows<plain<X>>;

}  // namespace detail

// Borrows instead of copying: the values are read when the datum and the batch are made, and must live until then.
template <class Range>
requires(detail::number_range<Range>) numbers view(const Range& range) { return detail::look_at(range); }
template <class Range>
requires(detail::range_of_rows<Range>) number_rows view(const Range& range) {
  number_rows result;
  for (const auto& row : range) result.rows.push_back(view(row));
  return result;
}
template <class Range>
requires(!std::is_lvalue_reference_v<Range> && !std::ranges::borrowed_range<Range>) void view(Range&& temporary) =
    delete;  // a temporary dies before it is read: pass it without view()

// Row-major [size / width, width]: for per-candidate values in one flat array.
template <detail::takeable X>
numbers matrix(X&& flat, std::size_t width) {
  numbers result = detail::take(std::forward<X>(flat));
  result.width = width;
  return result;
}

}  // namespace gradwire::inline v0
