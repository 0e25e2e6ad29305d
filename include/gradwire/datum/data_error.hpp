// SPDX-License-Identifier: Apache-2.0
// How a mistake in the data is told: one sentence with the place in front, the same place in error_details. The sentence
// is put together in one cold function, because string arithmetic at every check would cost each user's build dearly.
#pragma once

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

// A piece of a sentence: a text or a number.
struct word {
  enum kind_type : unsigned char { text, whole, real } kind = text;
  std::string_view chars;
  std::int64_t integer = 0;
  double number = 0;

  constexpr word(const char* from = "") noexcept : chars(from) {}
  constexpr word(std::string_view from) noexcept : chars(from) {}
  constexpr word(std::int64_t from) noexcept : kind(whole), integer(from) {}
  constexpr word(std::size_t from) noexcept : kind(whole), integer(static_cast<std::int64_t>(from)) {}
  constexpr word(double from) noexcept : kind(real), number(from) {}
};

[[gnu::cold, gnu::noinline]] inline void append_word(std::string& to, const word& piece) {
  char digits[32];
  std::string_view chars = piece.chars;
  if (piece.kind != word::text) {
    const int size = piece.kind == word::whole
                         ? __builtin_snprintf(digits, sizeof digits, "%lld", static_cast<long long>(piece.integer))
                     : piece.number != piece.number
                         ? __builtin_snprintf(digits, sizeof digits, "nan")  // no -nan
                         : __builtin_snprintf(digits, sizeof digits, "%.9g", piece.number);
    chars = {digits, static_cast<std::size_t>(size)};
  }
  to.append(chars.data(), chars.size());
}

// "datum 3, old_logprobs, token 5: <what>"
[[noreturn, gnu::cold, gnu::noinline]] inline void data_error(const place& at, std::initializer_list<word> what,
                                                              word value = {}) {
  std::string sentence;
  auto add = [&](word first, word second) {
    if (!sentence.empty()) append_word(sentence, ", ");
    append_word(sentence, first);
    append_word(sentence, second);
  };
  if (at.datum >= 0) add("datum ", at.datum);
  if (*at.column) add(at.column, {});
  if (at.token >= 0) add("token ", at.token);
  if (!sentence.empty()) append_word(sentence, ": ");
  for (const word& piece : what) append_word(sentence, piece);
  error_details details;
  details.datum = at.datum;
  details.token = at.token;
  append_word(details.column, at.column);
  append_word(details.value, value);
  throw error(errc::data, sentence, static_cast<error_details&&>(details));
}

}  // namespace detail
}  // namespace gradwire::inline v0
