// SPDX-License-Identifier: Apache-2.0
// A small HTTP/1.1 server for the embedded trainer. It listens on 127.0.0.1 only, unless it is told otherwise in two
// options, and refuses what a browser or a confused proxy could send it: a Host that is not this machine (421), an
// Origin (403), and every request that two readers could take for two different ones (400 and close): two framings, an
// unknown Transfer-Encoding, no Host or two, folded lines, bare line feeds, trailers. A body over the limit is 413; a
// head that takes longer than 10 s ends the connection.
//
//   http_server server({}, [](http_request request, http_server::responder respond) {
//     respond({.status = 200, .headers = {{"Content-Type", "application/json"}}, .body = "{}"});
//   });
//   server.port();
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gradwire/transport/config.hpp>
#include <gradwire/transport/http_message.hpp>

namespace gradwire::inline v0 {

namespace detail {
struct http_server_state;
}

struct http_server_options {
  std::uint16_t port = 0;             // 0: the system chooses; see http_server::port()
  std::string address = "127.0.0.1";  // "::1", or with allow_other_machines any address of this machine
  bool allow_other_machines = false;
  std::vector<std::string> host_names{};         // that a Host may have beside this machine's and plain addresses
  std::size_t body_limit = 1024u * 1024 * 1024;  // bytes of a request body; more is answered with 413
  std::size_t max_connections = 1024;            // more are answered with 503
  double head_timeout_seconds = 10;              // from the first byte of a request to the end of its head
  double idle_timeout_seconds = 300;             // between two requests of one connection, and for a body to arrive

  // Sees a request's head before its body is read; with an answer, that is all there is to it.
  std::function<std::optional<http_response>(const http_request&)> check_head{};
};

class http_server {
 public:
  // Answers one request. May be called from any thread, at once or later (a long poll); the second call does nothing.
  // Never called: the connection is answered with 500 when the last copy goes away.
  using responder = std::function<void(http_response)>;

  // Runs on the server's only thread, so it must not block. An exception is answered with 500 and text/plain.
  using handler = std::function<void(http_request, responder)>;

  // Listens when the constructor returns. Throws error{transport} when the port is taken, error{config} for an address
  // that cannot be listened on or that other machines reach without allow_other_machines.
  GRADWIRE_DECL http_server(http_server_options options, handler on_request);
  GRADWIRE_DECL ~http_server();  // stops the thread; open connections are cut
  http_server(const http_server&) = delete;
  http_server& operator=(const http_server&) = delete;

  GRADWIRE_DECL std::uint16_t port() const noexcept;
  GRADWIRE_DECL std::string base_url() const;  // for clients on this machine: http://127.0.0.1:8000

  // Runs `task` on the server's thread, or after `seconds` (a long poll's limit). Not run when the server stops before.
  GRADWIRE_DECL void post(std::function<void()> task);
  GRADWIRE_DECL void post_after(double seconds, std::function<void()> task);

 private:
  std::shared_ptr<detail::http_server_state> state_;
};

}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/transport/impl/http_server.hpp>
#endif
