// SPDX-License-Identifier: Apache-2.0
// The proxy between here and a trainer, as the environment names it: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY in
// capitals or not. An https address goes through the proxy's CONNECT, so that the proxy sees neither key nor data. An
// address on this machine never goes through a proxy.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <gradwire/transport/config.hpp>
#include <gradwire/transport/secret.hpp>
#include <gradwire/transport/url.hpp>

namespace gradwire::inline v0 {

struct http_proxy {
  url address{};
  secret credentials{};  // base64 of user:password, for Proxy-Authorization; it is never printed
};

// The value of an environment variable, nullptr when it is not set. std::getenv, or a test's table.
using environment_reader = std::function<const char*(const char*)>;

// host[:port], http://host[:port] or http://user:password@host[:port]; `where` names the holder in errors. Throws
// error{config}, which repeats nothing of the text.
GRADWIRE_DECL http_proxy parse_proxy(std::string_view text, std::string_view where);

// Whether NO_PROXY's list says that `to` is reached directly: *, a name (its subdomains too), .name, name:port, an
// address, or addresses as 10.0.0.0/8.
GRADWIRE_DECL bool is_exempt_from_proxy(std::string_view no_proxy, const url& to);

// `wish` is "" for what the environment says, "none", or a proxy's address.
GRADWIRE_DECL std::optional<http_proxy> choose_proxy(const url& to, std::string_view wish,
                                                     const environment_reader& environment);

}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/transport/impl/proxy.hpp>
#endif
