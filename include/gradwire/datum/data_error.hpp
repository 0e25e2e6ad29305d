// SPDX-License-Identifier: Apache-2.0
// How a mistake in the data is told: one sentence with the place in front, the same place in error_details. The
// sentence is put together in cold functions, from a printf format or from pieces, because string arithmetic at every
// check would cost each user's build dearly.
#pragma once

#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include <gradwire/error.hpp>

namespace gradwire::inline v0 {
namespace detail {

struct place {
  std::int64_t datum = -1;
  std::int64_t token = -1;  // position in the targets
  const char* column = "";  // the field's name
};

// A text or a number.
struct word {
  enum kind_type : unsigned char { text, part, whole, real } kind = text;
  union {
    const char* chars;  // text: up to the zero; part: `size` characters
    std::int64_t integer;
    double number;
  };
  std::size_t size = 0;

  constexpr word(const char* from = "") noexcept : chars(from) {}
  constexpr word(std::string_view from) noexcept : kind(part), chars(from.data()), size(from.size()) {}
  constexpr word(std::int64_t from) noexcept : kind(whole), integer(from) {}
  constexpr word(std::size_t from) noexcept : kind(whole), integer(static_cast<std::int64_t>(from)) {}
  constexpr word(double from) noexcept : kind(real), number(from) {}
};

// printf would write the sign of a nan, which nobody set.
constexpr double printable(double value) noexcept { return value != value ? __builtin_nan("") : value; }

[[gnu::cold, gnu::noinline]] inline void append_word(std::string& to, const word& piece) {
  char digits[32];
  if (piece.kind == word::whole) {
    __builtin_snprintf(digits, sizeof digits, "%lld", static_cast<long long>(piece.integer));
  } else if (piece.kind == word::real) {
    const bool id = __builtin_fabs(piece.number) < 1e15 && piece.number == __builtin_floor(piece.number);
    __builtin_snprintf(digits, sizeof digits, "%.*g", id ? 15 : 9, printable(piece.number));
  }
  if (piece.kind == word::part) {
    to.append(piece.chars, piece.size);
  } else {
    to.append(piece.kind == word::text ? piece.chars : digits);
  }
}

// "datum 3, old_logprobs, token 5: <what>"
[[noreturn, gnu::cold, gnu::noinline]] inline void throw_data_error(const place& at, const word& value,
                                                                    std::string_view what) {
  std::string sentence;
  const auto add = [&](const char* name, const word& which) {
    if (!sentence.empty()) append_word(sentence, ", ");
    append_word(sentence, name);
    append_word(sentence, which);
  };
  if (at.datum >= 0) add("datum ", at.datum);
  if (*at.column) add("", at.column);
  if (at.token >= 0) add("token ", at.token);
  if (!sentence.empty()) append_word(sentence, ": ");
  append_word(sentence, what);
  error_details details;
  details.datum = at.datum;
  details.token = at.token;
  append_word(details.column, at.column);
  append_word(details.value, value);
  throw error(errc::data, sentence, static_cast<error_details&&>(details));
}

[[noreturn, gnu::cold, gnu::noinline, gnu::format(printf, 3, 4)]] inline void refuse(const place& at, const word& value,
                                                                                     const char* format, ...) {
  char what[1024];
  std::va_list arguments;
  va_start(arguments, format);
  __builtin_vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  throw_data_error(at, value, what);
}

[[noreturn, gnu::cold, gnu::noinline]] inline void data_error(const place& at, std::initializer_list<word> what,
                                                              const word& value = {}) {
  std::string sentence;
  for (const word& piece : what) append_word(sentence, piece);
  throw_data_error(at, value, sentence);
}

}  // namespace detail
}  // namespace gradwire::inline v0
