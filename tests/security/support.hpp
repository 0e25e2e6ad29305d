// SPDX-License-Identifier: Apache-2.0
// What the tests of this folder share: keys that can be found again wherever they leak to, a listener that does what a
// test tells it, and one exchange over the real transport.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <functional>
#include <future>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <boost/test/unit_test.hpp>

#include <gradwire/transport/runtime.hpp>

#include "../support/temporary_folder.hpp"

// A row of the tables of cases: its id stands first in the test's name, and canary.cpp looks that none is missing.
#define SECURITY_TEST(id, name) BOOST_AUTO_TEST_CASE(id##_##name)

namespace security {

using namespace gradwire;

// Every key that a test makes up begins with this, so that tests/security/canary finds it in any output.
inline std::string canary(const std::string& more) { return "tml-canary-" + more; }

inline bool contains(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

inline std::string shown(std::string_view text) {  // for messages: with what cannot be seen
  std::string out;
  for (const char c : text.substr(0, 200)) {
    if (c == '\r')
      out += "\\r";
    else if (c == '\n')
      out += "\\n";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      out += "?";
    else
      out += c;
  }
  return out;
}

// ---- sockets: blocking, but never for longer than 10 s ----

inline void be_patient(int socket) {
  const timeval patience{10, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

inline bool write_all(int socket, std::string_view text) {
  while (!text.empty()) {
    const auto sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

inline std::string read_some(int socket) {
  char block[16 * 1024];
  const auto got = ::recv(socket, block, sizeof block, 0);
  return got > 0 ? std::string(block, static_cast<std::size_t>(got)) : std::string();
}

// The head of a request and as much of its body as Content-Length says.
inline std::string read_request(int socket) {
  std::string all;
  for (;;) {
    if (const auto end = all.find("\r\n\r\n"); end != all.npos) {
      const auto at = all.find("Content-Length: ");
      if (at == all.npos || at > end || all.size() >= end + 4 + std::stoul(all.substr(at + 16))) return all;
    }
    const std::string more = read_some(socket);
    if (more.empty()) return all;
    all += more;
  }
}

inline int connect_to(std::uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  be_patient(socket);
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const std::string why = std::strerror(errno);
    ::close(socket);
    throw std::runtime_error("cannot connect to 127.0.0.1: " + why);
  }
  return socket;
}

// Listens on 127.0.0.1 and lets `serve` do with each connection what it wants, one after another.
class listener {
 public:
  explicit listener(std::function<void(int)> serve) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    if (::bind(socket_, reinterpret_cast<const sockaddr*>(&address), length) != 0 || ::listen(socket_, 16) != 0 ||
        ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &length) != 0)
      throw std::runtime_error("cannot listen on 127.0.0.1");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, serve = std::move(serve)] {
      for (;;) {
        const int accepted = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
        if (accepted < 0 && errno == EINTR) continue;
        if (accepted < 0) return;
        ++connections;
        be_patient(accepted);
        current_ = accepted;
        serve(accepted);
        current_ = -1;
        ::close(accepted);
      }
    });
  }
  ~listener() {
    ::shutdown(socket_, SHUT_RDWR);  // wakes accept
    if (const int open = current_; open >= 0) ::shutdown(open, SHUT_RDWR);
    thread_.join();
    ::close(socket_);
  }
  listener(const listener&) = delete;
  listener& operator=(const listener&) = delete;

  std::uint16_t port() const { return port_; }
  std::string at(const std::string& host) const { return host + ":" + std::to_string(port_); }
  std::atomic<int> connections{0};

 private:
  int socket_;
  std::uint16_t port_ = 0;
  std::atomic<int> current_{-1};
  std::thread thread_;
};

// What a listener's connections have said, for the test's thread to look at.
class heard {
 public:
  void add(std::string text) {
    std::lock_guard lock(mutex_);
    all_.push_back(std::move(text));
  }
  std::vector<std::string> all() const {
    std::lock_guard lock(mutex_);
    return all_;
  }
  std::string text() const {
    std::string joined;
    for (const std::string& each : all()) joined += each;
    return joined;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> all_;
};

// ---- one exchange ----

inline http_peer peer_at(const std::string& address, const std::string& key = "") {
  http_peer peer;
  peer.address = parse_url(address);
  peer.key = secret(key);
  peer.connect_timeout_seconds = 2;
  return peer;
}

inline http_outcome exchange(http_peer to, http_request request = {.target = "/x"}, double seconds = 5) {
  runtime net;
  std::promise<http_outcome> arrived;
  auto outcome = arrived.get_future();
  net.send({std::make_shared<const http_peer>(std::move(to)), std::make_shared<const http_request>(std::move(request)),
            net.now() + in_seconds(seconds), 1 << 20, traffic::submit},
           [&](http_outcome result) { arrived.set_value(std::move(result)); });
  return outcome.get();
}

// Whether it was answered with 200; else says why.
inline bool is_answered(const http_outcome& outcome) {
  if (const auto* failed = std::get_if<http_failure>(&outcome)) {
    BOOST_TEST_MESSAGE("failed: " << failed->sentence);
    return false;
  }
  return std::get<http_response>(outcome).status == 200;
}

// The failure, which has to be of this kind, to say this, and never to show a key.
inline http_failure failure_of(const http_outcome& outcome, errc kind, std::string_view part = "") {
  const auto* failed = std::get_if<http_failure>(&outcome);
  if (!failed) {
    BOOST_ERROR("it was answered with " << std::get<http_response>(outcome).status);
    return {};
  }
  BOOST_TEST(to_string(failed->kind) == to_string(kind), failed->sentence);
  BOOST_TEST(contains(failed->sentence, part), "'" << failed->sentence << "' does not say '" << part << "'");
  BOOST_TEST(!contains(failed->sentence, "canary"), "a key is in '" << failed->sentence << "'");
  return *failed;
}

// The sentence of the error{config} that f throws.
template <class F>
std::string config_error_of(F&& f) {
  try {
    f();
  } catch (const error& e) {
    BOOST_TEST(to_string(e.kind()) == "config", e.what());
    return e.what();
  }
  BOOST_ERROR("nothing was thrown");
  return {};
}

}  // namespace security
