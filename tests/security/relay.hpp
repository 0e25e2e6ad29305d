// SPDX-License-Identifier: Apache-2.0
// What stands between a client and a server: a proxy that speaks CONNECT, or a wire that changes a byte.
#pragma once

#include <poll.h>

#include <optional>

#include "support.hpp"

namespace security {

// Carries bytes both ways until one side ends; `change` sees what the server says before it goes on.
inline void carry(int client, int server, const std::function<void(std::string&)>& change = {},
                  heard* from_client = nullptr) {
  for (;;) {
    pollfd both[2] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
    if (::poll(both, 2, 10'000) <= 0) return;
    if (both[0].revents) {
      const std::string said = read_some(client);
      if (from_client) from_client->add(said);
      if (said.empty() || !write_all(server, said)) return;
    }
    if (both[1].revents) {
      std::string said = read_some(server);
      if (change) change(said);
      if (said.empty() || !write_all(client, said)) return;
    }
  }
}

// A CONNECT proxy: every name leads to `upstream` on this machine, or to nowhere when it says something else.
class connect_proxy {
 public:
  explicit connect_proxy(std::uint16_t upstream, std::string reply = "HTTP/1.1 200 Connection established\r\n\r\n")
      : listener_([this, upstream, reply = std::move(reply)](int client) {
          const std::string head = read_request(client);
          heads.add(head);
          if (!write_all(client, reply)) return;
          if (!reply.starts_with("HTTP/1.1 200 Connection")) {
            ::shutdown(client, SHUT_WR);
            while (!read_some(client).empty()) continue;
            return;
          }
          const int server = connect_to(upstream);
          carry(client, server, {}, &inside);
          ::close(server);
        }) {}

  http_proxy way(const std::string& user_and_password = "") const {
    return parse_proxy(
        "http://" + (user_and_password.empty() ? "" : user_and_password + "@") + listener_.at("127.0.0.1"),
        "the test's proxy");
  }
  std::string name() const { return listener_.at("127.0.0.1"); }
  int connections() const { return listener_.connections; }

  heard heads;   // what the proxy was told, and …
  heard inside;  // … what went through it

 private:
  listener listener_;
};

}  // namespace security
