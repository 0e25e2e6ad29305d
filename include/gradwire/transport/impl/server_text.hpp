// SPDX-License-Identifier: Apache-2.0
// How server_text.hpp works.
#pragma once

#include <charconv>
#include <ctime>
#include <iomanip>
#include <locale>
#include <sstream>

#include <gradwire/transport/server_text.hpp>
#include <gradwire/wire/json_document.hpp>

namespace gradwire::inline v0 {
namespace detail {

// Bytes of the UTF-8 character that the text begins with; 0 when it is none.
inline std::size_t length_of_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(text[i])); };
  const unsigned head = byte(0);
  const std::size_t length = head < 0x80                   ? 1
                             : head >= 0xc2 && head < 0xe0 ? 2
                             : head >= 0xe0 && head < 0xf0 ? 3
                             : head >= 0xf0 && head < 0xf5 ? 4
                                                           : 0;
  if (length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  if ((head == 0xe0 && byte(1) < 0xa0) || (head == 0xed && byte(1) > 0x9f) || (head == 0xf0 && byte(1) < 0x90) ||
      (head == 0xf4 && byte(1) > 0x8f))
    return 0;  // too long for what it says, a surrogate, or beyond the last character
  return length;
}

GRADWIRE_DECL std::string printable(std::string_view text, std::size_t limit) {
  std::string out;
  const std::string_view shown = text.substr(0, limit);
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const char c = shown[i];
    const auto byte = static_cast<unsigned char>(c);
    const std::size_t length = byte < 0x80 ? 1 : length_of_character(shown.substr(i));
    if (c == '\n' || c == '\t' || c == '\r') {
      out += ' ';
    } else if (length > 1) {
      out += shown.substr(i, length);
      i += length - 1;
    } else if (byte < 0x20 || byte >= 0x7f) {
      constexpr const char* digits = "0123456789abcdef";
      out += "\\x";
      out += digits[byte >> 4];
      out += digits[byte & 15];
    } else {
      out += c;
    }
  }
  if (text.size() > limit) out += " … (" + std::to_string(text.size()) + " bytes)";
  return out;
}

// Calls f(document, root object) when the reply is a JSON object; false when it is not.
template <class F>
bool with_json_object(const http_response& reply, F&& f) {
  if (reply.body.empty() || reply.body.find_first_not_of(" \t\r\n") == std::string::npos) return false;
  if (reply.body[reply.body.find_first_not_of(" \t\r\n")] != '{') return false;
  try {
    const wire::json_document document(reply.body);
    f(document, document.root());
    return true;
  } catch (const error&) {
    return false;
  }
}

inline std::string text_of(const wire::json_node* node) {
  if (!node) return {};
  return node->kind == wire::json_kind::string || node->kind == wire::json_kind::number ? std::string(node->text) : "";
}

GRADWIRE_DECL std::string server_text(const http_response& reply) {
  std::string found;
  with_json_object(reply, [&](const wire::json_document& document, const wire::json_node& root) {
    const auto* const detail_member = document.find(root, "detail");
    found = text_of(detail_member);
    if (detail_member && detail_member->kind == wire::json_kind::array) {
      for (const auto* issue = document.first(*detail_member); issue; issue = document.next(*issue)) {
        std::string place;
        const auto* const loc = document.find(*issue, "loc");
        for (const auto* part = loc ? document.first(*loc) : nullptr; part; part = document.next(*part)) {
          place += (place.empty() ? "" : ".") + text_of(part);
        }
        found +=
            (found.empty() ? "" : "; ") + place + (place.empty() ? "" : ": ") + text_of(document.find(*issue, "msg"));
      }
    }
    const auto* const error_member = document.find(root, "error");
    if (found.empty() && error_member) found = text_of(document.find(*error_member, "message"));
    if (found.empty()) found = text_of(error_member);
    if (found.empty()) found = text_of(document.find(root, "message"));
  });
  return printable(found.empty() ? std::string_view(reply.body) : std::string_view(found));
}

GRADWIRE_DECL std::string server_code(const http_response& reply) {
  std::string found;
  with_json_object(reply, [&](const wire::json_document& document, const wire::json_node& root) {
    const auto* const error_member = document.find(root, "error");
    for (const char* name : {"category", "error_class"}) {
      if (found.empty()) found = text_of(document.find(root, name));
    }
    for (const char* name : {"code", "type"}) {
      if (found.empty() && error_member) found = text_of(document.find(*error_member, name));
    }
  });
  return printable(found, 128);
}

GRADWIRE_DECL std::optional<double> plain_number(std::string_view text) {
  double value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

inline std::optional<std::time_t> http_date(std::string_view text) {  // "Sun, 06 Nov 1994 08:49:37 GMT"
  std::istringstream in{std::string(text)};
  in.imbue(std::locale::classic());
  std::tm parts{};
  in >> std::get_time(&parts, "%a, %d %b %Y %H:%M:%S");
  if (in.fail()) return std::nullopt;
  return ::timegm(&parts);
}

GRADWIRE_DECL std::optional<double> retry_after_seconds(const http_response& reply) {
  if (const auto ms = plain_number(reply.header("retry-after-ms")); ms && *ms >= 0) return *ms / 1000;
  const std::string_view text = reply.header("Retry-After");
  if (text.empty()) return std::nullopt;
  if (const auto seconds = plain_number(text)) return *seconds >= 0 ? std::optional<double>(*seconds) : std::nullopt;
  const auto then = http_date(text);
  const auto now = http_date(reply.header("Date"));  // the server's clock: ours may differ
  if (!then || !now || *then < *now) return std::nullopt;
  return static_cast<double>(*then - *now);
}

GRADWIRE_DECL bool has_word(std::string_view text, std::string_view word) {
  for (std::size_t at = 0; at + word.size() <= text.size(); ++at) {
    if (same_text(text.substr(at, word.size()), word)) return true;
  }
  return false;
}

GRADWIRE_DECL missing_thing find_missing(std::string_view text) {
  constexpr std::string_view wrapper = "Failed to retrieve future: ";
  if (text.starts_with(wrapper)) text.remove_prefix(wrapper.size());
  if (has_word(text, "model not loaded")) return missing_thing::unloaded_model;
  if (has_word(text, "future") || has_word(text, "request")) return missing_thing::request;
  if (has_word(text, "checkpoint") || has_word(text, "weights")) return missing_thing::other;
  return has_word(text, "model") || has_word(text, "session") ? missing_thing::model : missing_thing::other;
}

GRADWIRE_DECL bool says_locked(std::string_view text) {
  for (const char* word : {"locked", " lock", "busy", "in progress", "try again", "retry"}) {
    if (has_word(text, word)) return true;
  }
  return false;
}

GRADWIRE_DECL std::optional<sequence_conflict> find_sequence_conflict(std::string_view text) {
  const auto number_after = [&](std::string_view word) -> std::optional<std::int64_t> {
    std::size_t at = 0;
    for (;; ++at) {
      if (at + word.size() > text.size()) return std::nullopt;
      if (same_text(text.substr(at, word.size()), word)) break;
    }
    std::string_view rest = text.substr(at + word.size());
    while (!rest.empty() && (rest.front() == ' ' || rest.front() == ':' || rest.front() == '=')) rest.remove_prefix(1);
    std::int64_t value = 0;
    const auto [end, failed] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    if (failed != std::errc()) return std::nullopt;
    return value;
  };
  const auto expected = number_after("expected ");
  const auto got = number_after("got ");
  if (!expected || !got) return std::nullopt;
  return sequence_conflict{*expected, *got};
}

}  // namespace detail
}  // namespace gradwire::inline v0
