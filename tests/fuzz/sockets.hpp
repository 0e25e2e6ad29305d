// SPDX-License-Identifier: Apache-2.0
// Plain sockets on 127.0.0.1 for the targets that send or answer raw bytes.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace fuzz {

class socket_handle {
 public:
  explicit socket_handle(int descriptor) : descriptor_(descriptor) {
    if (descriptor_ < 0) throw std::runtime_error("no socket");
    const timeval patience{20, 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const int on = 1;
    ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  ~socket_handle() { ::close(descriptor_); }
  socket_handle(const socket_handle&) = delete;
  socket_handle& operator=(const socket_handle&) = delete;

  int get() const noexcept { return descriptor_; }

  void send(std::string_view text) const {
    while (!text.empty()) {
      const auto sent = ::send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;  // the other side has seen enough
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  void end() const { ::shutdown(descriptor_, SHUT_WR); }

  // Adds what comes next; false at the end.
  bool receive(std::string& into) const {
    char block[16384];
    const auto got = ::recv(descriptor_, block, sizeof block, 0);
    if (got > 0) into.append(block, static_cast<std::size_t>(got));
    return got > 0;
  }

 private:
  int descriptor_;
};

inline sockaddr_in here_at(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

inline int connected(std::uint16_t port) {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = here_at(port);
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("cannot connect to port " + std::to_string(port));
  return descriptor;
}

}  // namespace fuzz
