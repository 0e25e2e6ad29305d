// SPDX-License-Identifier: Apache-2.0
// Masks by place: comparisons of `position` and its like with whole numbers and with each other,
//
//   position < 10        position >= length - 4        part_position < part_length / 2        position % 2 == 0
//
// Everything counts targets from 0; part_position counts the tokens of the part that the target belongs to.
#pragma once

#include <concepts>
#include <cstdint>

#include <gradwire/error.hpp>
#include <gradwire/mask/mask.hpp>

namespace gradwire::inline v0 {
namespace masks {

template <class X>
concept place_expression = requires {
  typename X::place_tag;
};
template <class X>
concept place_operand = place_expression<X> || std::integral<X>;

template <auto Member>
struct place_of_token {
  using place_tag = void;
  constexpr std::int64_t operator()(const token_context& token) const noexcept { return token.*Member; }
};

inline constexpr place_of_token<&token_context::position> position{};
inline constexpr place_of_token<&token_context::length> length{};
inline constexpr place_of_token<&token_context::part_position> part_position{};
inline constexpr place_of_token<&token_context::part_length> part_length{};
inline constexpr place_of_token<&token_context::token> token_id{};

struct whole_number {
  using place_tag = void;
  std::int64_t value = 0;
  constexpr std::int64_t operator()(const token_context&) const noexcept { return value; }
};

template <place_operand X>
constexpr auto as_place(X x) noexcept {
  if constexpr (place_expression<X>) {
    return x;
  } else {
    return whole_number{static_cast<std::int64_t>(x)};
  }
}
template <class X>
using place_type = decltype(as_place(std::declval<X>()));

template <char Op, class A, class B>
struct place_sum {
  using place_tag = void;
  [[no_unique_address]] A a;
  [[no_unique_address]] B b;
  constexpr std::int64_t operator()(const token_context& token) const {
    const std::int64_t x = a(token), y = b(token);
    if constexpr (Op == '+') return x + y;
    if constexpr (Op == '-') return x - y;
    if constexpr (Op == '*') return x * y;
    if (y == 0) throw error(errc::data, "a mask divides by 0");
    if constexpr (Op == '/') {
      return x / y;
    } else {
      return x % y;
    }
  }
};

enum class comparison : unsigned char { equal, less, less_equal };

template <comparison Op, bool Negated, class A, class B>
struct place_comparison {
  using mask_tag = void;
  [[no_unique_address]] A a;
  [[no_unique_address]] B b;
  constexpr bool operator()(const token_context& token) const {
    const std::int64_t x = a(token), y = b(token);
    return (Op == comparison::equal ? x == y : Op == comparison::less ? x < y : x <= y) != Negated;
  }
};

template <class A, class B>
concept place_operands = place_operand<A> && place_operand<B> &&(place_expression<A> || place_expression<B>);

template <class A, class B>
requires place_operands<A, B>
constexpr place_sum<'+', place_type<A>, place_type<B>> operator+(A a, B b) noexcept {
  return {as_place(a), as_place(b)};
}
template <class A, class B>
requires place_operands<A, B>
constexpr place_sum<'-', place_type<A>, place_type<B>> operator-(A a, B b) noexcept {
  return {as_place(a), as_place(b)};
}
template <class A, class B>
requires place_operands<A, B>
constexpr place_sum<'*', place_type<A>, place_type<B>> operator*(A a, B b) noexcept {
  return {as_place(a), as_place(b)};
}
template <class A, class B>
requires place_operands<A, B>
constexpr place_sum<'/', place_type<A>, place_type<B>> operator/(A a, B b) noexcept {
  return {as_place(a), as_place(b)};
}
template <class A, class B>
requires place_operands<A, B>
constexpr place_sum<'%', place_type<A>, place_type<B>> operator%(A a, B b) noexcept {
  return {as_place(a), as_place(b)};
}

template <class A, class B>
requires place_operands<A, B>
constexpr place_comparison<comparison::equal, false, place_type<A>, place_type<B>> operator==(A a, B b) noexcept {
  return {as_place(a), as_place(b)};
}
template <class A, class B>
requires place_operands<A, B>
constexpr place_comparison<comparison::equal, true, place_type<A>, place_type<B>> operator!=(A a, B b) noexcept {
  return {as_place(a), as_place(b)};
}
template <class A, class B>
requires place_operands<A, B>
constexpr place_comparison<comparison::less, false, place_type<A>, place_type<B>> operator<(A a, B b) noexcept {
  return {as_place(a), as_place(b)};
}
template <class A, class B>
requires place_operands<A, B>
constexpr place_comparison<comparison::less_equal, false, place_type<A>, place_type<B>> operator<=(A a, B b) noexcept {
  return {as_place(a), as_place(b)};
}
template <class A, class B>
requires place_operands<A, B>
constexpr place_comparison<comparison::less_equal, true, place_type<A>, place_type<B>> operator>(A a, B b) noexcept {
  return {as_place(a), as_place(b)};
}
template <class A, class B>
requires place_operands<A, B>
constexpr place_comparison<comparison::less, true, place_type<A>, place_type<B>> operator>=(A a, B b) noexcept {
  return {as_place(a), as_place(b)};
}

}  // namespace masks
}  // namespace gradwire::inline v0
