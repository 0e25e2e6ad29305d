// SPDX-License-Identifier: Apache-2.0
// Writes JSON text into one string: no white space, members in the order of the calls, NaN never.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <gradwire/error.hpp>
#include <gradwire/wire/json_numbers.hpp>
#include <gradwire/wire/tensor.hpp>

namespace gradwire::inline v0 {
namespace wire {

class json_writer {
 public:
  explicit json_writer(nonfinite policy = nonfinite::refuse, std::size_t expected_bytes = 256) : policy_(policy) {
    out_.reserve(expected_bytes);
  }

  std::string take() && { return std::move(out_); }
  std::string& text() noexcept { return out_; }

  // Named in the error when a value is not finite.
  void locate(std::int64_t datum, std::string_view column) {
    datum_ = datum;
    column_ = column;
  }

  void begin_object() { open('{'); }
  void end_object() { close('}'); }
  void begin_array() { open('['); }
  void end_array() { close(']'); }

  json_writer& key(std::string_view name) {
    separate();
    quote(name);
    out_ += ':';
    comma_ = false;
    return *this;
  }

  void string(std::string_view value) {
    separate();
    quote(value);
  }
  void boolean(bool value) { literal(value ? "true" : "false"); }
  void null() { literal("null"); }
  void raw(std::string_view json) { literal(json); }  // text that is JSON already
  void integer(std::int64_t value) {
    separate();
    append_number(out_, value);
  }
  void real(double value) {
    if (!detail::is_finite(value)) {
      if (policy_ == nonfinite::refuse) refuse(-1, value);
      return null();
    }
    separate();
    append_number(out_, value);
  }

  // [a,b,c] with the digits of Wire (float for a float32 column, whatever it is stored as).
  template <class Wire, class T>
  void numbers(std::span<const T> values) {
    open('[');
    const std::size_t done = append_numbers<Wire>(out_, values, policy_);
    if (done != values.size()) refuse(static_cast<std::int64_t>(done), static_cast<double>(values[done]));
    close(']');
  }

 private:
  void separate() {
    if (comma_) out_ += ',';
    comma_ = true;
  }
  void open(char bracket) {
    separate();
    out_ += bracket;
    comma_ = false;
  }
  void close(char bracket) {
    out_ += bracket;
    comma_ = true;
  }
  void literal(std::string_view word) {
    separate();
    out_ += word;
  }

  void quote(std::string_view value) {
    out_ += '"';
    std::size_t from = 0;
    for (std::size_t i = 0; i < value.size(); ++i) {
      const auto c = static_cast<unsigned char>(value[i]);
      if (c >= 0x20 && c != '"' && c != '\\') continue;
      out_.append(value, from, i - from);
      from = i + 1;
      escape(c);
    }
    out_.append(value, from);
    out_ += '"';
  }

  void escape(unsigned char c) {
    constexpr char hex[] = "0123456789abcdef";
    out_ += '\\';
    switch (c) {
      case '"':
      case '\\':
        out_ += static_cast<char>(c);
        break;
      case '\n':
        out_ += 'n';
        break;
      case '\r':
        out_ += 'r';
        break;
      case '\t':
        out_ += 't';
        break;
      default:
        out_ += "u00";
        out_ += hex[c >> 4];
        out_ += hex[c & 15];
    }
  }

  [[noreturn]] void refuse(std::int64_t token, double value) const {
    const std::string printed = value != value ? "NaN" : value > 0 ? "inf" : "-inf";
    std::string place = column_.empty() ? "a number" : "column '" + column_ + "'";
    if (datum_ >= 0) place = "datum " + std::to_string(datum_) + ", " + place;
    if (token >= 0) place += ", value " + std::to_string(token);
    error_details details;
    details.datum = datum_;
    details.token = token;
    details.column = column_;
    details.value = printed;
    throw error(errc::data, place + " is " + printed + ", which JSON cannot carry; send finite values",
                std::move(details));
  }

  std::string out_;
  std::string column_;
  std::int64_t datum_ = -1;
  nonfinite policy_;
  bool comma_ = false;
};

}  // namespace wire
}  // namespace gradwire::inline v0
