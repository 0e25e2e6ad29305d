// SPDX-License-Identifier: Apache-2.0
// Masks by the part and the token that a target is.
#pragma once

#include <cstdint>
#include <span>

#include <gradwire/datum/data_error.hpp>
#include <gradwire/datum/dynamic_array.hpp>
#include <gradwire/mask/mask.hpp>

namespace gradwire::inline v0 {
namespace masks {

struct all_mask {
  using mask_tag = void;
  constexpr bool operator()(const token_context&) const noexcept { return true; }
};
inline constexpr all_mask all_tokens{};

template <part_role Role>
struct role_mask {
  using mask_tag = void;
  constexpr bool operator()(const token_context& token) const noexcept { return token.role == Role; }
};
inline constexpr role_mask<part_role::response> response_only{};  // what `weights` is when it is not given
inline constexpr role_mask<part_role::prompt> prompt_only{};

// Turns are the model's: turn(0) is the first response, turn(-1) the last, adjacent response parts are one. A prompt is
// in no turn, so a mask of turns never trains on it.
struct turn_mask {
  using mask_tag = void;
  std::int64_t number = 0;
  constexpr bool operator()(const token_context& token) const noexcept {
    return token.turn >= 0 && token.turn == (number < 0 ? token.turns + number : number);
  }
};
constexpr turn_mask turn(std::int64_t number) noexcept { return {number}; }
inline constexpr turn_mask last_turn{-1};

// The parts of the sum, prompts and responses alike: part(0) is the first, part(-1) the last.
struct part_mask {
  using mask_tag = void;
  std::int64_t number = 0;
  constexpr bool operator()(const token_context& token) const noexcept {
    return token.part == (number < 0 ? token.parts + number : number);
  }
};
constexpr part_mask part(std::int64_t number) noexcept { return {number}; }

// Targets with this id, or with one of these ids.
struct token_id_mask {
  using mask_tag = void;
  std::int64_t id = 0;
  constexpr bool operator()(const token_context& token) const noexcept { return token.token == id; }
};

class token_set_mask {
 public:
  using mask_tag = void;

  void add(std::int64_t id) {
    if (id < 0)
      detail::refuse({.column = "weights"}, id, "is_token: the token id %lld is negative", static_cast<long long>(id));
    std::size_t i = ids_.size();  // keeps the ids sorted
    ids_.push_back(id);
    for (; i > 0 && ids_[i - 1] > id; --i) ids_[i] = ids_[i - 1];
    ids_[i] = id;
  }
  bool operator()(const token_context& token) const noexcept {
    std::size_t first = 0, last = ids_.size();
    while (first < last) {
      const std::size_t middle = (first + last) / 2;
      if (ids_[middle] < token.token) {
        first = middle + 1;
      } else {
        last = middle;
      }
    }
    return first < ids_.size() && ids_[first] == token.token;
  }

 private:
  detail::dynamic_array<std::int64_t> ids_;
};

inline token_id_mask is_token(std::int64_t id) {
  if (id < 0)
    detail::refuse({.column = "weights"}, id, "is_token: the token id %lld is negative", static_cast<long long>(id));
  return {id};
}
template <class... More>
requires((std::is_integral_v<More> && ...)) token_set_mask
    is_token(std::int64_t first, std::int64_t second, More... more) {
  token_set_mask result;
  result.add(first);
  result.add(second);
  (result.add(static_cast<std::int64_t>(more)), ...);
  return result;
}
template <std::ranges::range Range>
token_set_mask is_token(const Range& ids) {
  token_set_mask result;
  for (const auto& id : ids) result.add(static_cast<std::int64_t>(id));
  return result;
}

}  // namespace masks
}  // namespace gradwire::inline v0
