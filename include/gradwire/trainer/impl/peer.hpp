// SPDX-License-Identifier: Apache-2.0
// Whom the requests of a client go to: from the address and the options given to connect(), or from the environment.
#pragma once

#include <cstdlib>
#include <string>
#include <utility>

#include <gradwire/trainer/options.hpp>
#include <gradwire/transport/endpoint.hpp>
#include <gradwire/transport/environment.hpp>
#include <gradwire/transport/network.hpp>

namespace gradwire::inline v0 {
namespace detail {

inline const char* read_environment_variable(const char* name) { return std::getenv(name); }

inline http_peer peer_at(const std::string& address, secret key, std::vector<secret_header> headers,
                         const connect_options& options) {
  http_peer peer;
  peer.address = parse_url(address);
  peer.key = std::move(key);
  peer.headers = std::move(headers);
  peer.open_headers = options.headers;
  peer.ca_file = options.ca_file;
  peer.proxy = choose_proxy(peer.address, options.proxy, read_environment_variable);
  peer.allow_key_over_http = options.allow_key_over_http;
  if (peer.has_credentials() && !peer.address.tls && !peer.address.is_loopback()) {
    if (peer.proxy) {
      throw error(errc::config, "the key would go to " + peer.address.host + " over http through the proxy " +
                                    peer.proxy->address.host_header() +
                                    ", readable by it; use https, or name the host in NO_PROXY");
    }
    if (!peer.allow_key_over_http) {
      throw error(errc::config, "the key would go to " + peer.address.host +
                                    " over http, readable by everybody on the way; use https, or set "
                                    "allow_key_over_http where the way is yours");
    }
  }
  return peer;
}

inline http_peer peer_of(const endpoint& where, const connect_options& options) {
  return peer_at(where.url, secret(where.token.empty() ? options.token : where.token), {}, options);
}

inline http_peer peer_from_environment(const connect_options& options) {
  environment_endpoint found = read_environment(read_environment_variable);
  return peer_at(found.url, std::move(found.key), std::move(found.headers), options);
}

}  // namespace detail
}  // namespace gradwire::inline v0
