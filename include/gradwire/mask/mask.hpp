// SPDX-License-Identifier: Apache-2.0
// Which tokens count, and how much, as an expression that is read when the datum is made:
//
//   weights = last_turn && !is_token(end_of_turn)          // 0 or 1
//   weights = 0.2 * response_only + 0.8 * last_turn        // a number a token
//   weights = response_only && position < length - 4
//
// A mask of one's own is a struct with `using mask_tag = void;` and a call that takes a token_context and returns bool
// or a number, or `mask_by(callable)`. Targets are what is masked: a context describes target t, the token after input
// token t.
#pragma once

#include <type_traits>
#include <utility>

#include <gradwire/datum/token_context.hpp>

namespace gradwire::inline v0 {

template <class X>
concept mask_expression = token_mask<X> && requires {
  typename std::remove_cvref_t<X>::mask_tag;
};

namespace masks {

template <class Callable>
struct callable_mask {
  using mask_tag = void;
  Callable callable;
  constexpr auto operator()(const token_context& token) const { return callable(token); }
};

template <token_mask Callable>
constexpr callable_mask<std::remove_cvref_t<Callable>> mask_by(Callable&& callable) {
  return {std::forward<Callable>(callable)};
}

}  // namespace masks

using namespace masks;  // part of the vocabulary of gradwire, without shadow warnings for every local called `length`

}  // namespace gradwire::inline v0
