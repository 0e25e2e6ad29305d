// SPDX-License-Identifier: Apache-2.0
// Where the HTTP server listens, and what its clients on this machine call that.
#pragma once

#include <string>

#include <gradwire/error.hpp>
#include <gradwire/transport/http.hpp>
#include <gradwire/transport/http_server.hpp>

namespace gradwire::inline v0 {
namespace detail {

inline tcp::endpoint place_to_listen(const http_server_options& options) {
  error_code failed;
  const auto address = asio::ip::make_address(options.address, failed);
  if (failed) throw error(errc::config, "'" + options.address + "' is no address to listen on; 127.0.0.1 is one");
  if (!address.is_loopback() && !options.allow_other_machines)
    throw error(errc::config, "listening on " + options.address +
                                  " would let other machines in; that takes allow_other_machines too");
  return {address, options.port};
}

inline void listen_at(tcp::acceptor& acceptor, const http_server_options& options) {
  const tcp::endpoint where = place_to_listen(options);
  error_code failed;
  open_privately(acceptor, where.protocol(), failed);
  if (!failed) acceptor.set_option(tcp::acceptor::reuse_address(true), failed);
  if (!failed) acceptor.bind(where, failed);
  if (!failed) acceptor.listen(asio::socket_base::max_listen_connections, failed);
  if (failed)
    throw error(errc::transport, "cannot listen on " + options.address + ":" + std::to_string(options.port) + ": " +
                                     failed.message() +
                                     (options.port ? "; choose another port, or 0 for any free one" : ""));
}

inline std::string url_of(const tcp::endpoint& where) {
  const auto address = where.address();
  const bool any = address.is_unspecified();
  const std::string host = address.is_v6() ? "[" + (any ? "::1" : address.to_string()) + "]"
                           : any           ? "127.0.0.1"
                                           : address.to_string();
  return "http://" + host + ":" + std::to_string(where.port());
}

}  // namespace detail
}  // namespace gradwire::inline v0
