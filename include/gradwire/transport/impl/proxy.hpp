// SPDX-License-Identifier: Apache-2.0
// How proxy.hpp works.
#pragma once

#include <arpa/inet.h>

#include <charconv>
#include <cstdlib>
#include <string>
#include <utility>

#include <gradwire/transport/http_message.hpp>
#include <gradwire/transport/proxy.hpp>
#include <gradwire/wire/base64.hpp>

namespace gradwire::inline v0 {
namespace detail {

inline std::string without_percent_escapes(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned byte = 0;
    const char* const end = text.data() + i + 3;
    if (text[i] == '%' && i + 2 < text.size() && std::from_chars(end - 2, end, byte, 16).ptr == end) {
      plain += static_cast<char>(byte);
      i += 2;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

inline std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The bits of an address: 4 or 16 bytes, "" for a name.
inline std::string address_bytes(const std::string& host) {
  std::string bytes(16, '\0');
  if (::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1) return bytes;
  bytes.resize(4);
  if (::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1) return bytes;
  return {};
}

inline bool lies_in_network(const std::string& host, std::string_view network) {
  const auto slash = network.find('/');
  const std::string inside = address_bytes(host);
  const std::string base = address_bytes(std::string(network.substr(0, slash)));
  unsigned bits = 0;
  const char* const end = network.data() + network.size();
  if (inside.empty() || inside.size() != base.size()) return false;
  const auto [after, failed] = std::from_chars(network.data() + slash + 1, end, bits);
  if (failed != std::errc() || after != end || bits > 8 * base.size()) return false;
  for (std::size_t i = 0; i < base.size() && bits > 0; ++i, bits -= bits < 8 ? bits : 8) {
    const unsigned mask = bits >= 8 ? 0xff : 0xff << (8 - bits) & 0xff;
    if (((static_cast<unsigned char>(inside[i]) ^ static_cast<unsigned char>(base[i])) & mask) != 0) return false;
  }
  return true;
}

inline bool names_host(std::string_view entry, const url& to) {
  if (entry == "*") return true;
  if (entry.find('/') != entry.npos) return lies_in_network(to.host, entry);
  if (entry.starts_with('[')) {  // [::1] or [::1]:8000
    const auto close = entry.find(']');
    if (close == entry.npos) return false;
    const std::string_view rest = entry.substr(close + 1);
    if (!rest.empty() && rest != ":" + std::to_string(to.port)) return false;
    entry = entry.substr(1, close - 1);
  } else if (const auto colon = entry.find(':'); colon != entry.npos && entry.find(':', colon + 1) == entry.npos) {
    if (entry.substr(colon + 1) != std::to_string(to.port)) return false;
    entry = entry.substr(0, colon);
  }
  if (to.is_ip_literal()) {
    const std::string bytes = address_bytes(to.host);
    return !bytes.empty() && bytes == address_bytes(std::string(entry));
  }
  if (entry.starts_with("*.")) entry.remove_prefix(1);
  if (entry.starts_with('.')) entry.remove_prefix(1);
  if (entry.empty() || entry.size() > to.host.size()) return false;
  const std::string_view end = std::string_view(to.host).substr(to.host.size() - entry.size());
  return same_text(end, entry) && (end.size() == to.host.size() || to.host[to.host.size() - entry.size() - 1] == '.');
}

}  // namespace detail

GRADWIRE_DECL http_proxy parse_proxy(std::string_view text, std::string_view where) {
  const auto wrong = [&](const std::string& sentence) {
    return error(errc::config, std::string(where) + " " + sentence + "; it looks like http://proxy.example:3128");
  };
  std::string_view rest = detail::trimmed(text);
  if (rest.starts_with("https://"))
    throw wrong("names a proxy that is itself spoken to over TLS, which is not supported");
  if (const auto scheme = rest.find("://"); scheme != rest.npos) {
    if (rest.substr(0, scheme) != "http") throw wrong("names a proxy that is no HTTP proxy");
    rest.remove_prefix(scheme + 3);
  }
  http_proxy made;
  if (const auto at = rest.rfind('@'); at != rest.npos) {
    const std::string plain = detail::without_percent_escapes(rest.substr(0, at));
    for (char c : plain)
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
        throw wrong("has a control character in its user name or password");
    made.credentials = secret(wire::to_base64(plain), where);
    rest.remove_prefix(at + 1);
  }
  try {
    made.address = parse_url("http://" + std::string(rest));
  } catch (const error&) {  // its sentence is about the trainer's address
    throw wrong("is not the address of a proxy");
  }
  if (!made.address.prefix.empty()) throw wrong("has a path");
  return made;
}

GRADWIRE_DECL bool is_exempt_from_proxy(std::string_view no_proxy, const url& to) {
  while (!no_proxy.empty()) {
    const auto end = no_proxy.find(',');
    const std::string_view entry = detail::trimmed(no_proxy.substr(0, end));
    if (!entry.empty() && detail::names_host(entry, to)) return true;
    no_proxy.remove_prefix(end == no_proxy.npos ? no_proxy.size() : end + 1);
  }
  return false;
}

GRADWIRE_DECL std::optional<http_proxy> choose_proxy(const url& to, std::string_view wish,
                                                     const environment_reader& environment) {
  if (to.is_loopback() || wish == "none") return std::nullopt;
  if (!wish.empty()) return parse_proxy(wish, "the proxy given to connect()");
  const auto value_of = [&](const char* name) -> std::string_view {
    const char* const value = environment(name);
    return value ? std::string_view(value) : std::string_view();
  };
  for (const char* name : {"no_proxy", "NO_PROXY"})
    if (is_exempt_from_proxy(value_of(name), to)) return std::nullopt;
  // A web server gives a program that it runs the header `Proxy: …` of a stranger as HTTP_PROXY.
  const bool is_cgi = environment("REQUEST_METHOD") != nullptr;
  const char* const of_https[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
  const char* const of_http[] = {"http_proxy", is_cgi ? "http_proxy" : "HTTP_PROXY", "all_proxy", "ALL_PROXY"};
  for (const char* name : to.tls ? of_https : of_http) {
    const std::string_view value = value_of(name);
    if (!detail::trimmed(value).empty()) return parse_proxy(value, "the environment variable " + std::string(name));
  }
  return std::nullopt;
}

}  // namespace gradwire::inline v0
