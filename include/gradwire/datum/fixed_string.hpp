// SPDX-License-Identifier: Apache-2.0
// A text that is part of a type: the name of a field, of a `let`, of a metric.
#pragma once

#include <cstddef>
#include <string_view>

namespace gradwire::inline v0 {

template <std::size_t Size>
struct fixed_string {
  char data[Size] = {};  // with the terminating zero; public because a template argument must be structural

  constexpr fixed_string(const char (&text)[Size]) noexcept {  // implicit: field<"entropy", per_token>
    for (std::size_t i = 0; i < Size; ++i) data[i] = text[i];
  }
  constexpr const char* c_str() const noexcept { return data; }
  constexpr std::size_t size() const noexcept { return Size - 1; }
  constexpr std::string_view view() const noexcept { return {data, Size - 1}; }
  constexpr operator std::string_view() const noexcept { return view(); }
};

template <std::size_t Left, std::size_t Right>
constexpr bool operator==(const fixed_string<Left>& left, const fixed_string<Right>& right) noexcept {
  if constexpr (Left != Right) {
    return false;
  } else {
    for (std::size_t i = 0; i < Left; ++i) {
      if (left.data[i] != right.data[i]) return false;
    }
    return true;
  }
}

}  // namespace gradwire::inline v0
