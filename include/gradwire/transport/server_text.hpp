// SPDX-License-Identifier: Apache-2.0
// What a server said in an error reply, as one sentence for a person, and the two things in it that a machine needs:
// how long to wait, and which seq_id it expected.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <gradwire/transport/config.hpp>
#include <gradwire/transport/http_message.hpp>

namespace gradwire::inline v0 {
namespace detail {

// Looks in this order: detail (text, or a list of place and message), error.message, error, message, the body's
// beginning. At most 2 KiB; control characters are escaped. "" when the body is empty.
GRADWIRE_DECL std::string server_text(const http_response& reply);

// The server's kind of an error ("category", "error.code", "error.type", "error_class"), "" when there is none.
GRADWIRE_DECL std::string server_code(const http_response& reply);

GRADWIRE_DECL std::string printable(std::string_view text, std::size_t limit = 2048);

// What an error says, without the library's name before it: for a sentence about another one.
inline std::string sentence_of(std::string_view text) {
  constexpr std::string_view name = "gradwire: ";
  while (text.starts_with(name)) text.remove_prefix(name.size());
  return std::string(text);
}

// Seconds to wait, from Retry-After (a number, or a date relative to `Date`) or retry-after-ms. Nothing when neither
// is there, or it makes no sense.
GRADWIRE_DECL std::optional<double> retry_after_seconds(const http_response& reply);

// What a 404 says is not there. A model that is "not loaded" was there before the trainer was restarted.
enum class missing_thing : unsigned char { request, model, unloaded_model, other };
GRADWIRE_DECL missing_thing find_missing(std::string_view text);

GRADWIRE_DECL bool has_word(std::string_view text, std::string_view word);  // ASCII, any case

// A text that is a number and nothing else.
GRADWIRE_DECL std::optional<double> plain_number(std::string_view text);

// A 409 that passes: something is locked, busy or in progress.
GRADWIRE_DECL bool says_locked(std::string_view text);

struct sequence_conflict {
  std::int64_t expected = 0;
  std::int64_t got = 0;
};

// From "… expected 7, got 9 …", as servers that count strictly say it.
GRADWIRE_DECL std::optional<sequence_conflict> find_sequence_conflict(std::string_view text);

}  // namespace detail
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/transport/impl/server_text.hpp>
#endif
