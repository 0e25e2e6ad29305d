// SPDX-License-Identifier: Apache-2.0
// HTTP by hand: what a test sends is exactly what goes over the socket.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <string_view>

#include <gradwire/loopback/server.hpp>
#include <gradwire/transport/url.hpp>

struct raw_reply {
  int status = 0;  // 0: the connection was closed without an answer
  std::string head{};
  std::string body{};
};

class raw_connection {
 public:
  explicit raw_connection(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error("cannot connect");
    const timeval patience{20, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~raw_connection() { ::close(socket_); }
  raw_connection(const raw_connection&) = delete;
  raw_connection& operator=(const raw_connection&) = delete;

  void send(std::string_view text) const {
    while (!text.empty()) {
      const auto sent = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;  // refused before it was read: the answer says why
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  raw_reply receive() {
    raw_reply reply;
    std::size_t end = std::string::npos;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
      if (!more()) return reply;
    reply.head = buffer_.substr(0, end);
    buffer_.erase(0, end + 4);
    reply.status = std::stoi(reply.head.substr(9, 3));
    std::size_t length = 0;
    if (const auto at = reply.head.find("Content-Length: "); at != std::string::npos)
      length = std::stoul(reply.head.substr(at + 16));
    while (buffer_.size() < length && more()) continue;
    reply.body = buffer_.substr(0, length);
    buffer_.erase(0, length);
    return reply;
  }

 private:
  bool more() {
    char block[65536];
    const auto got = ::recv(socket_, block, sizeof block, 0);
    if (got > 0) buffer_.append(block, static_cast<std::size_t>(got));
    return got > 0;
  }

  int socket_;
  std::string buffer_;
};

// One server and requests to it with its token.
class raw_client {
 public:
  explicit raw_client(const gradwire::loopback::server& server)
      : port_(gradwire::parse_url(server.endpoint().url).port), token_(server.endpoint().token) {}

  raw_reply send(std::string_view method, std::string_view path, std::string_view body,
                 std::string_view headers) const {
    raw_connection connection(port_);
    connection.send(std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: 127.0.0.1\r\n" +
                    std::string(headers) + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                    std::string(body));
    return connection.receive();
  }
  raw_reply post(std::string_view name, std::string_view json) const {
    return send("POST", "/api/v1/" + std::string(name), json, key() + "Content-Type: application/json\r\n");
  }
  raw_reply get(std::string_view name) const { return send("GET", "/api/v1/" + std::string(name), "", key()); }

  std::string key() const { return "X-API-Key: " + token_ + "\r\n"; }
  std::uint16_t port() const { return port_; }

 private:
  std::uint16_t port_;
  std::string token_;
};
