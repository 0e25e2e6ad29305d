// SPDX-License-Identifier: Apache-2.0
// An HTTP request and its reply as plain values, for the client and for the server side. No Boost here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gradwire::inline v0 {

struct http_header {
  std::string name{};
  std::string value{};
};

namespace detail {

constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

constexpr bool same_text(std::string_view a, std::string_view b) noexcept {  // ASCII, case-insensitive
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

inline std::string_view find_header(const std::vector<http_header>& headers, std::string_view name) noexcept {
  for (const http_header& h : headers) {
    if (same_text(h.name, name)) return h.value;
  }
  return {};
}

}  // namespace detail

struct http_request {
  std::string method = "POST";
  std::string target{};                // path and query as on the request line; starts with '/'
  std::vector<http_header> headers{};  // without Host, Content-Length and Connection, which the transport writes
  std::string body{};

  std::string_view header(std::string_view name) const noexcept { return detail::find_header(headers, name); }
};

struct http_response {
  int status = 200;
  std::vector<http_header> headers{};
  std::string body{};

  std::string_view header(std::string_view name) const noexcept { return detail::find_header(headers, name); }
};

}  // namespace gradwire::inline v0
