// SPDX-License-Identifier: Apache-2.0
// Bytes as an HTTP reply, read by the client's own connection: one outcome each, never more than the limit in memory,
// and a reply is good only when its framing says that all of it is there.
#include "fuzz.hpp"
#include "sockets.hpp"

#include <gradwire/transport/runtime.hpp>

#include <cctype>
#include <future>
#include <mutex>
#include <optional>
#include <thread>

namespace {

using namespace gradwire;

constexpr std::size_t reply_limit = 4096;

// Answers each connection's first request with the bytes that it was given, and closes.
class answerer {
 public:
  answerer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = fuzz::here_at(0);
    socklen_t size = sizeof address;
    if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
        ::listen(listener_.get(), 16) != 0 ||
        ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::runtime_error("cannot listen");
    const timeval none{0, 0};
    ::setsockopt(listener_.get(), SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~answerer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }

  std::uint16_t port() const noexcept { return port_; }
  void set(std::string_view answer) {  // what connections made after this are answered with
    const std::lock_guard lock(mutex_);
    answer_ = answer;
  }

 private:
  void serve() {
    for (;;) {
      const int accepted = ::accept(listener_.get(), nullptr, nullptr);
      if (accepted < 0) return;
      const fuzz::socket_handle client(accepted);
      std::string request, answer;
      {
        const std::lock_guard lock(mutex_);
        answer = answer_;
      }
      while (request.find("\r\n\r\n") == std::string::npos && client.receive(request)) continue;
      client.send(answer);
      client.end();
      while (client.receive(request)) continue;  // until the client has read it and closes
    }
  }

  fuzz::socket_handle listener_;
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  std::string answer_;
  std::thread thread_;
};

std::string lower(std::string_view text) {
  std::string made(text);
  for (char& c : made) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return made;
}

// The body of a chunked reply, nothing if it is not complete. Written from RFC 9112 §7.1, not from the reader.
std::optional<std::string> dechunked(std::string_view rest) {
  std::string body;
  for (;;) {
    const auto line_end = rest.find("\r\n");
    if (line_end == rest.npos) return {};
    std::size_t size = 0, digits = 0;
    while (digits < line_end && std::isxdigit(static_cast<unsigned char>(rest[digits])) && digits < 16) {
      const char c = rest[digits++];
      size = size * 16 + static_cast<std::size_t>(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    if (digits == 0) return {};
    rest.remove_prefix(line_end + 2);
    if (size == 0)
      return rest.starts_with("\r\n") || rest.find("\r\n\r\n") != rest.npos ? std::optional(body) : std::nullopt;
    if (rest.size() < size + 2 || rest.substr(size, 2) != "\r\n") return {};
    body += rest.substr(0, size);
    rest.remove_prefix(size + 2);
  }
}

// Whether these bytes hold a whole reply with this body.
bool complete(std::string_view bytes, const http_response& reply) {
  for (;;) {
    const auto head_end = bytes.find("\r\n\r\n");
    if (head_end == bytes.npos) return false;
    const std::string head = lower(bytes.substr(0, head_end + 2));
    const std::string_view rest = bytes.substr(head_end + 4);
    if (head.size() > 9 && head[9] == '1') {  // 100 Continue and its like come before the reply
      bytes = rest;
      continue;
    }
    if (reply.status == 204 || reply.status == 304) return reply.body.empty();
    if (head.find("\r\ntransfer-encoding:") != head.npos) {
      const auto body = dechunked(rest);
      return body && *body == reply.body;
    }
    const auto at = head.find("\r\ncontent-length:");
    if (at == head.npos) return false;
    const std::size_t length = std::strtoull(head.c_str() + at + 17, nullptr, 10);
    return rest.size() >= length && reply.body == rest.substr(0, length);
  }
}

void run(std::string_view input) {
  static answerer server;
  static const auto to = std::make_shared<const http_peer>(
      http_peer{parse_url("http://127.0.0.1:" + std::to_string(server.port())), secret("tml-canary-0123456789")});
  server.set(input);
  std::promise<http_outcome> first;
  auto arrived = first.get_future();
  int outcomes = 0;
  {
    runtime net;
    http_request request;
    request.target = "/api/v1/retrieve_future";
    request.headers = {{"Content-Type", "application/json"}};
    request.body = "{}";
    http_call call;
    call.to = to;
    call.request = std::make_shared<const http_request>(std::move(request));
    call.deadline = net.now() + in_seconds(10);
    call.reply_limit = reply_limit;
    call.kind = traffic::poll;
    net.send(std::move(call), [&](http_outcome outcome) {
      if (++outcomes == 1) first.set_value(std::move(outcome));
    });
    arrived.wait();
  }
  fuzz::require(outcomes == 1, std::to_string(outcomes) + " outcomes");
  const http_outcome outcome = arrived.get();
  if (const auto* failed = std::get_if<http_failure>(&outcome)) {
    fuzz::require(failed->kind == errc::transport || failed->kind == errc::protocol,
                  std::string("a failure of another kind: ") + to_string(failed->kind) + ", " + failed->sentence);
    fuzz::require(failed->sentence.find("canary") == std::string::npos, "the key is in the sentence");
    return;
  }
  const auto& reply = std::get<http_response>(outcome);
  fuzz::require(reply.body.size() <= reply_limit, "a body over the limit");
  fuzz::require(complete(input, reply), "taken for complete: status " + std::to_string(reply.status) + ", body of " +
                                            std::to_string(reply.body.size()) + " bytes");
}

std::vector<std::string> seeds() {
  return {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n3\r\nabc\r\n0\r\nT: 1\r\n\r\n",
          "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
          "HTTP/1.1 503 Busy\r\nRetry-After: 5\r\nContent-Length: 4\r\n\r\nbusy",
          "HTTP/1.1 204 No Content\r\n\r\n",
          "HTTP/1.1 200 OK\r\n\r\nno framing",
          "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
          "HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n",
          "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
          "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
          "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab",
          "HTTP/1.1 307 T\r\nLocation: http://elsewhere.test/\r\nContent-Length: 0\r\n\r\n",
          "GARBAGE\r\n\r\n"};
}

const fuzz::registered here({"response", run, seeds, 1500});

}  // namespace
