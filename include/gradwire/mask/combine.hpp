// SPDX-License-Identifier: Apache-2.0
// Masks joined: && || ! for masks that select; a number times a mask is a weight, weights add up and multiply.
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include <gradwire/mask/mask.hpp>

namespace gradwire::inline v0 {
namespace masks {

template <class X>
using mask_result = decltype(std::declval<const std::remove_cvref_t<X>&>()(std::declval<const token_context&>()));

template <class X>
inline constexpr bool selects = std::is_same_v<mask_result<X>, bool>;

template <class A, class B>
struct both {
  using mask_tag = void;
  [[no_unique_address]] A a;
  [[no_unique_address]] B b;
  constexpr bool operator()(const token_context& token) const { return a(token) && b(token); }
};

template <class A, class B>
struct either {
  using mask_tag = void;
  [[no_unique_address]] A a;
  [[no_unique_address]] B b;
  constexpr bool operator()(const token_context& token) const { return a(token) || b(token); }
};

template <class A>
struct inverse {
  using mask_tag = void;
  [[no_unique_address]] A a;
  constexpr bool operator()(const token_context& token) const { return !a(token); }
};

template <class A>
struct scaled {
  using mask_tag = void;
  double factor = 1;
  [[no_unique_address]] A a;
  // A selected-out token has weight 0 whatever the factor is.
  constexpr double operator()(const token_context& token) const {
    const auto value = a(token);
    return value == decltype(value)(0) ? 0.0 : factor * static_cast<double>(value);
  }
};

template <class A, class B>
struct weight_sum_of {
  using mask_tag = void;
  [[no_unique_address]] A a;
  [[no_unique_address]] B b;
  constexpr double operator()(const token_context& token) const {
    return static_cast<double>(a(token)) + static_cast<double>(b(token));
  }
};

template <class A, class B>
struct weight_product_of {
  using mask_tag = void;
  [[no_unique_address]] A a;
  [[no_unique_address]] B b;
  constexpr double operator()(const token_context& token) const {
    return static_cast<double>(a(token)) * static_cast<double>(b(token));
  }
};

template <class... Xs>
constexpr void require_selection() {
  static_assert(
      (selects<Xs> && ...),
      "gradwire: && || ! join masks that select (bool); a weight is joined by * and +, such as 0.5 * response_only");
}

template <mask_expression A, mask_expression B>
constexpr both<A, B> operator&&(A a, B b) {
  require_selection<A, B>();
  return {std::move(a), std::move(b)};
}
template <mask_expression A, mask_expression B>
constexpr either<A, B> operator||(A a, B b) {
  require_selection<A, B>();
  return {std::move(a), std::move(b)};
}
template <mask_expression A>
constexpr inverse<A> operator!(A a) {
  require_selection<A>();
  return {std::move(a)};
}

template <class Number, mask_expression A>
requires std::is_arithmetic_v<Number>
constexpr scaled<A> operator*(Number factor, A a) { return {static_cast<double>(factor), std::move(a)}; }
template <mask_expression A, class Number>
requires std::is_arithmetic_v<Number>
constexpr scaled<A> operator*(A a, Number factor) { return {static_cast<double>(factor), std::move(a)}; }
template <mask_expression A, mask_expression B>
constexpr weight_product_of<A, B> operator*(A a, B b) {
  return {std::move(a), std::move(b)};
}
template <mask_expression A, mask_expression B>
constexpr weight_sum_of<A, B> operator+(A a, B b) {
  return {std::move(a), std::move(b)};
}
template <mask_expression A, mask_expression B>
constexpr weight_sum_of<A, scaled<B>> operator-(A a, B b) {
  return {std::move(a), {-1.0, std::move(b)}};
}

}  // namespace masks
}  // namespace gradwire::inline v0
