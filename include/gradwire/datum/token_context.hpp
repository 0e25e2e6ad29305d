// SPDX-License-Identifier: Apache-2.0
// What a mask sees of one target token. Positions count targets from 0, as loss_fn_inputs and error messages do: target
// t is the token that the model predicts after input token t, so the first token of a sequence is never a target.
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>

namespace gradwire::inline v0 {

enum class part_role : unsigned char { prompt, response };

struct token_context {
  std::int64_t position = 0;           // of the target, 0 … length - 1
  std::int64_t length = 0;             // targets of the sequence
  std::int32_t token = 0;              // id of the target (top-K data without a sampled token: its first candidate)
  part_role role = part_role::prompt;  // of the part that the target belongs to
  std::int64_t part = 0;               // number of that part, in the order of the sum
  std::int64_t parts = 1;              // how many there are
  std::int64_t part_position = 0;      // of the target inside its part, counted in the part's own tokens
  std::int64_t part_length = 0;        // tokens of the part
  std::int64_t turn = -1;              // number of the response, adjacent response parts being one; -1: prompt
  std::int64_t turns = 0;              // how many there are
};

// A mask is a callable of a token: bool selects, a number weighs.
template <class X>
concept token_mask = std::is_class_v<std::remove_cvref_t<X>> &&
    requires(const std::remove_cvref_t<X>& mask, const token_context& token) {
  { mask(token) } -> std::convertible_to<double>;
};

}  // namespace gradwire::inline v0
