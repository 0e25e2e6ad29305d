// SPDX-License-Identifier: Apache-2.0
// An embedded trainer, and requests to it byte by byte.
#pragma once

#include <gradwire/loopback/server.hpp>

#include "support.hpp"

namespace security {

inline const std::string chunked = "Transfer-Encoding: chunked\r\n";

// What a server said.
struct answer {
  int status = 0;  // 0: none
  std::string head{}, body{};
  int count = 0;       // answers before the connection ended
  bool ended = false;  // by the server
};

inline answer read_answer(std::string text) {
  answer read;
  for (auto at = text.find("HTTP/1.1 "); at != text.npos; at = text.find("HTTP/1.1 ", at + 1)) ++read.count;
  const auto end = text.find("\r\n\r\n");
  if (end == text.npos) return read;
  read.head = text.substr(0, end);
  read.body = text.substr(end + 4);
  read.status = std::stoi(read.head.substr(9, 3));
  return read;
}

class connection {
 public:
  explicit connection(std::uint16_t port) : socket_(connect_to(port)) {}
  ~connection() { ::close(socket_); }
  connection(connection&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
  connection& operator=(connection&&) = delete;

  void send(std::string_view text) const { write_all(socket_, text); }

  // The next answer, whole.
  answer receive() {
    for (;;) {
      const auto end = text_.find("\r\n\r\n");
      const auto at = text_.find("Content-Length: ");
      if (end != text_.npos) {
        const std::size_t length = at < end ? std::stoul(text_.substr(at + 16)) : 0;
        if (text_.size() >= end + 4 + length) {
          answer read = read_answer(text_.substr(0, end + 4 + length));
          text_.erase(0, end + 4 + length);
          return read;
        }
      }
      const std::string more = read_some(socket_);
      if (more.empty()) return {};
      text_ += more;
    }
  }

  // Everything until the server ends the connection.
  answer receive_all() {
    for (std::string more = " "; !more.empty(); text_ += more) {
      errno = 0;
      more = read_some(socket_);
    }
    answer read = read_answer(text_.substr(0));
    read.ended = errno == 0 || errno == ECONNRESET;
    return read;
  }

  int socket() const { return socket_; }

 private:
  int socket_;
  std::string text_{};
};

struct trainer {
  explicit trainer(loopback::start_options options) : server(std::move(options)) {}
  loopback::server server;
  std::string token = server.endpoint().token;
  std::uint16_t port = parse_url(server.endpoint().url).port;

  std::string key() const { return "X-API-Key: " + token + "\r\n"; }

  answer say(const std::string& bytes) const {
    connection it(port);
    it.send(bytes);
    return it.receive();
  }
  answer ask(const std::string& method, const std::string& path, const std::string& headers,
             const std::string& body = "") const {
    return say(method + " " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\n" + headers +
               "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  answer post(const std::string& name, const std::string& json) const {
    return ask("POST", "/api/v1/" + name, key() + "Content-Type: application/json\r\n", json);
  }
  answer get(const std::string& name) const { return ask("GET", "/api/v1/" + name, key()); }
};

inline trainer& shared() {
  static trainer one({.token = canary("shared-server"), .threads = 1, .body_limit = 1 << 20});
  return one;
}

}  // namespace security
