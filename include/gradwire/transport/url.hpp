// SPDX-License-Identifier: Apache-2.0
// The address of a trainer: scheme://host[:port][/prefix]. A prefix is kept and stands before every path of the
// protocol.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <gradwire/error.hpp>

namespace gradwire::inline v0 {

struct url {
  bool tls = false;         // https
  std::string host{};       // lower case; an IPv6 address without its brackets
  std::uint16_t port = 80;  // 443 for https
  std::string prefix{};     // "" or "/services/prod", without a '/' at its end

  bool is_ip_literal() const noexcept {
    if (host.find(':') != host.npos) return true;
    for (char c : host) {
      if (c != '.' && (c < '0' || c > '9')) return false;
    }
    return true;
  }

  bool is_loopback() const noexcept {
    return host == "localhost" || host == "::1" || (is_ip_literal() && host.starts_with("127."));
  }

  std::string host_header() const {
    std::string text = host.find(':') != host.npos ? "[" + host + "]" : host;
    if (port != (tls ? 443 : 80)) text += ":" + std::to_string(port);
    return text;
  }

  std::string text() const { return (tls ? "https://" : "http://") + host_header() + prefix; }

  friend bool operator==(const url&, const url&) = default;
};

// Throws error{config} that says which part is wrong. A password in the address is never repeated.
inline url parse_url(std::string_view text) {
  const auto wrong = [](const std::string& sentence) -> url {
    throw error(errc::config,
                "the trainer's address " + sentence + "; it looks like http://127.0.0.1:8000 or https://host/prefix");
  };
  url parsed;
  std::string_view rest = text;
  if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else if (rest.starts_with("https://")) {
    rest.remove_prefix(8);
    parsed.tls = true;
  } else {
    return wrong(text.empty() ? "is empty" : "does not begin with http:// or https://");
  }
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  std::string_view path = rest.substr(authority.size());
  if (authority.find('@') != authority.npos)
    return wrong("has a user name or password in it; give the key as the token");
  if (path.find('@') != path.npos)  // what looks like a path may be the second half of a password
    return wrong("has an '@' in its path; a user name or password cannot stand in it, give the key as the token");
  if (path.find_first_of("?#") != path.npos) return wrong("has a query or fragment");
  for (char c : path) {
    if (c <= 0x20 || c > 0x7e) return wrong("has a space, control or non-ASCII character in its path");
  }
  while (path.ends_with('/')) path.remove_suffix(1);
  parsed.prefix = path;

  std::string_view host = authority;
  std::string_view port;
  if (host.starts_with('[')) {
    const auto close = host.find(']');
    if (close == host.npos) return wrong("has a '[' without its ']'");
    port = host.substr(close + 1);
    host = host.substr(1, close - 1);
    if (host.find_first_not_of("0123456789abcdefABCDEF:.") != host.npos || host.find(':') == host.npos) {
      return wrong("has something in brackets that is no IPv6 address");
    }
  } else {
    port = host.substr(host.find(':') == host.npos ? host.size() : host.find(':'));
    host = host.substr(0, host.size() - port.size());
    for (char c : host) {
      const bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                        c == '.' || c == '_';
      if (!fine) return wrong("has a character in its host name that cannot stand there");
    }
  }
  if (host.empty() || host.size() > 253) return wrong("has no host name of 1 to 253 characters");
  for (char c : host) parsed.host += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  parsed.port = parsed.tls ? 443 : 80;
  if (!port.empty()) {
    port.remove_prefix(1);
    std::uint32_t number = 0;
    for (char c : port) {
      if (c < '0' || c > '9' || number > 65535) return wrong("has a port that is no number from 1 to 65535");
      number = number * 10 + static_cast<std::uint32_t>(c - '0');
    }
    if (number < 1 || number > 65535) return wrong("has a port that is no number from 1 to 65535");
    parsed.port = static_cast<std::uint16_t>(number);
  }
  return parsed;
}

}  // namespace gradwire::inline v0
