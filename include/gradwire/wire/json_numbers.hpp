// SPDX-License-Identifier: Apache-2.0
// Runs of numbers straight between JSON text and a column: shortest round-trip digits out, correctly rounded in.
// Nothing here knows of objects; json_writer.hpp and json_document.hpp do the rest.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace gradwire::inline v0 {
namespace wire {

// What to do with NaN and ±inf, which JSON cannot say: refuse (requests), or write null (replies).
enum class nonfinite : unsigned char { refuse, null };

namespace detail {

template <class T>
constexpr bool is_finite(T value) noexcept {
  if constexpr (std::floating_point<T>)
    return value - value == T(0);
  else
    return true;
}

// Neither NaN nor infinite nor the largest of its type.
template <class T>
constexpr bool is_ordinary(T value) noexcept {
  if constexpr (std::floating_point<T>)
    return value < std::numeric_limits<T>::max() && value > std::numeric_limits<T>::lowest();
  else
    return true;
}

constexpr bool is_space(char c) noexcept { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

inline constexpr std::size_t number_width = 32;  // no int64 or shortest double is longer

// Where a number could not be read: its index in the run and its text.
struct number_fault {
  std::size_t index = 0;
  std::string_view text;
  const char* why = nullptr;  // nullptr: no fault
};

// Text that float or double cannot hold: too small becomes 0, too large is a fault.
template <class T>
bool read_out_of_range(const char* first, const char* last, T& value) {
  long double wide = 0;
  if (std::from_chars(first, last, wide).ec != std::errc()) return false;
  value = static_cast<T>(wide);
  return is_finite(value);
}

// Reads one JSON number at `first`; returns the end of it, or nullptr.
template <class T>
const char* read_number(const char* first, const char* last, T& value) {
  const char* digits = first + (first != last && *first == '-');
  if (digits == last || !is_digit(*digits)) return nullptr;  // from_chars also takes "inf" …
  const char second = digits + 1 != last ? digits[1] : ' ';
  if (static_cast<int>(*digits == '0') & static_cast<int>(is_digit(second))) return nullptr;  // … and leading zeros
  if constexpr (std::floating_point<T>) {
    const auto [end, error] = std::from_chars(first, last, value);
    if (error == std::errc::result_out_of_range && !read_out_of_range(first, end, value)) return nullptr;
    return end[-1] == '.' ? nullptr : end;
  } else {
    std::int64_t wide = 0;
    auto [end, error] = std::from_chars(first, last, wide);
    if (error != std::errc()) return nullptr;
    if (end != last && (*end == '.' || *end == 'e' || *end == 'E')) {  // 3.0 is an integer to some writers
      double real = 0;
      end = read_number(first, last, real);
      if (end == nullptr || !(real >= -9007199254740992.0 && real <= 9007199254740992.0)) return nullptr;
      wide = static_cast<std::int64_t>(real);
      if (static_cast<double>(wide) != real) return nullptr;
    }
    if (wide < std::numeric_limits<T>::min() || wide > std::numeric_limits<T>::max()) return nullptr;
    value = static_cast<T>(wide);
    return end;
  }
}

}  // namespace detail

template <class T>
void append_number(std::string& out, T value) {
  char text[detail::number_width];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  out.append(text, static_cast<std::size_t>(end - text));
}

// Appends "a,b,c" converted to Wire; returns the index of the first value that is not finite and was to be
// refused (what was appended is then useless), or values.size().
template <class Wire, class T>
std::size_t append_numbers(std::string& out, std::span<const T> values, nonfinite policy) {
  char text[2048];
  char* at = text;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (at + detail::number_width + 1 > text + sizeof text) {
      out.append(text, static_cast<std::size_t>(at - text));
      at = text;
    }
    if (i != 0) *at++ = ',';
    const auto value = static_cast<Wire>(values[i]);
    if (detail::is_ordinary(value)) {
      at = std::to_chars(at, at + detail::number_width, value).ptr;
    } else if (detail::is_finite(value)) {
      // All digits: the shortest ones that mean the largest float are above it, which a reader of doubles may refuse.
      at = std::to_chars(at, at + detail::number_width, static_cast<double>(value)).ptr;
    } else {
      if (policy == nonfinite::refuse) return i;
      std::memcpy(at, "null", 4);
      at += 4;
    }
  }
  out.append(text, static_cast<std::size_t>(at - text));
  return values.size();
}

// Reads "a, b, null, c" (the text between the brackets); null becomes NaN and is a fault for integers.
template <class T>
detail::number_fault read_numbers(std::string_view text, std::vector<T>& out) {
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto skip = [&] {
    while (at != end && detail::is_space(*at)) ++at;
  };
  constexpr std::size_t block = 256;
  T values[block];
  std::size_t count = 0;
  const auto fault = [&](const char* why) {
    const char* stop = at;
    while (stop != end && *stop != ',' && stop - at < 40) ++stop;
    return detail::number_fault{out.size() + count, {at, static_cast<std::size_t>(stop - at)}, why};
  };
  skip();
  if (at == end) return {};
  for (;;) {
    if (count == block) {
      out.insert(out.end(), values, values + block);
      count = 0;
    }
    if (const char* next = detail::read_number(at, end, values[count])) {
      at = next;
    } else if (std::floating_point<T> && end - at >= 4 && std::memcmp(at, "null", 4) == 0) {
      if constexpr (std::floating_point<T>) values[count] = std::numeric_limits<T>::quiet_NaN();
      at += 4;
    } else {
      return fault(std::floating_point<T> ? "is not a number" : "is not an integer of the column's range");
    }
    ++count;
    if (at != end && *at != ',') skip();
    if (at == end) break;
    if (*at != ',') return fault("is not followed by a comma");
    ++at;
    skip();
  }
  out.insert(out.end(), values, values + count);
  return {};
}

}  // namespace wire
}  // namespace gradwire::inline v0
