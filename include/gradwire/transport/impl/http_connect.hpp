// SPDX-License-Identifier: Apache-2.0
// One new connection: the name, TCP to one of its addresses, the proxy's CONNECT, TLS. All of it has one time limit,
// and nothing of the request is sent before all of it is done. Included by http_exchange.hpp.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/transport/impl/last_call.hpp>
#include <gradwire/transport/impl/tls.hpp>
#include <gradwire/transport/runtime.hpp>
#include <gradwire/transport/server_text.hpp>

namespace gradwire::inline v0 {
namespace detail {

// Looks a host up; a test may put another one into http_client::resolve. What it returns stops it, if it can.
using found_addresses = std::function<void(error_code, std::vector<tcp::endpoint>)>;
using address_lookup = std::function<std::function<void()>(const std::string&, std::uint16_t, found_addresses)>;

// A lookup that hangs cannot be stopped; whoever ends the program's network then does not wait for it.
inline std::atomic<int> lookups_running{0};

struct running_lookup {
  running_lookup() noexcept { ++lookups_running; }
  ~running_lookup() { --lookups_running; }
  running_lookup(const running_lookup&) = delete;
  running_lookup& operator=(const running_lookup&) = delete;
};

inline std::function<void()> look_up(asio::io_context& io, const std::string& host, std::uint16_t port,
                                     found_addresses then) {
  auto resolver = std::make_shared<tcp::resolver>(io);
  resolver->async_resolve(host, std::to_string(port),
                          [resolver, then = std::move(then), running = std::make_unique<running_lookup>()](
                              error_code failed, tcp::resolver::results_type found) {
                            std::vector<tcp::endpoint> addresses;
                            for (const auto& each : found) addresses.push_back(each.endpoint());
                            then(failed, std::move(addresses));
                          });
  return [resolver] { resolver->cancel(); };
}

struct http_connecting : std::enable_shared_from_this<http_connecting> {
  using outcome = std::variant<std::unique_ptr<either_stream>, http_failure>;

  // `context` is empty for plain http.
  http_connecting(asio::io_context& of, std::shared_ptr<const http_peer> peer, asio::ssl::context* context,
                  time_point until, std::function<void(outcome)> then)
      : io(of), to(std::move(peer)), latest(until), timer(of), done(std::move(then)) {
    stream = context ? std::make_unique<either_stream>(io, *context) : std::make_unique<either_stream>(io);
  }

  void start(const address_lookup& resolve) {
    timer.expires_at(latest);  // a name lookup cannot be stopped, only abandoned
    timer.async_wait(guarded(shared_from_this(), [](http_connecting& self, error_code stopped) {
      if (!stopped) self.fail(errc::timeout, "connecting to " + self.where() + " took too long");
    }));
    const url& first = to->way() ? to->way()->address : to->address;
    error_code no_address;
    const auto ip = asio::ip::make_address(first.host, no_address);
    if (!no_address) return connect({tcp::endpoint(ip, first.port)}, 0);
    auto found = [self = shared_from_this()](error_code failed, std::vector<tcp::endpoint> all) {
      if (self->finished) return;
      try {
        if (!failed && !all.empty()) return self->connect(std::move(all), 0);
        self->fail(errc::transport, "the name " + self->next_host() + " cannot be resolved" +
                                        (failed ? ": " + failed.message() : ": it has no address"));
      } catch (...) {
        self->broken();
      }
    };
    auto stopping = resolve ? resolve(first.host, first.port, found) : look_up(io, first.host, first.port, found);
    if (!finished) stop_lookup = std::move(stopping);
  }

  // Nobody is told any more.
  void stop() {
    if (std::exchange(finished, true)) return;
    release();
  }

  void connect(std::vector<tcp::endpoint> all, std::size_t number) {
    // An address that does not answer leaves the next ones their share of the time.
    const time_point now = std::chrono::steady_clock::now();
    const auto shares = static_cast<time_point::rep>(all.size() - number);
    stream->lowest().expires_at(std::max(now, latest - (latest - now) * (shares - 1) / shares));
    const tcp::endpoint next = all[number];
    // "localhost" is what the system's name service says it is.
    const bool in_clear = !to->address.tls && to->has_credentials() && !to->allow_key_over_http;
    if (in_clear && to->address.is_loopback() && !is_on_this_machine(next.address()))
      return fail(errc::config, "the name " + to->address.host + " leads to another machine (" +
                                    next.address().to_string() + "); the key is not sent there over http");
    error_code not_opened;
    open_privately(stream->lowest().socket(), next.protocol(), not_opened);
    if (not_opened) return try_next(std::move(all), number, not_opened);
    stream->lowest().async_connect(
        next,
        guarded(shared_from_this(), [all = std::move(all), number](http_connecting& self, error_code failed) mutable {
          failed ? self.try_next(std::move(all), number, failed) : self.connected();
        }));
  }

  void try_next(std::vector<tcp::endpoint> all, std::size_t number, error_code failed) {
    if (number + 1 < all.size()) {
      stream->lowest().close();
      return connect(std::move(all), number + 1);
    }
    fail(failed == beast::error::timeout ? errc::timeout : errc::transport,
         "connecting to " + where() + ": " + failed.message());
  }

  void connected() {
    error_code ignored;
    stream->lowest().socket().set_option(tcp::no_delay(true), ignored);
    stream->lowest().expires_at(latest);
    to->way() && to->address.tls ? open_tunnel() : handshake();
  }

  static bool is_on_this_machine(const asio::ip::address& address) {
    if (address.is_v6() && address.to_v6().is_v4_mapped())
      return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).is_loopback();
    return address.is_loopback();
  }

  // Asks the proxy for a connection to the server. It sees the server's name and its own credentials, no key.
  void open_tunnel() {
    const bool is_v6 = to->address.host.find(':') != std::string::npos;
    target = (is_v6 ? "[" + to->address.host + "]" : to->address.host) + ":" + std::to_string(to->address.port);
    head = "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n";
    if (!to->way()->credentials.empty())
      head += "Proxy-Authorization: Basic " + to->way()->credentials.reveal() + "\r\n";
    head += "\r\n";
    asio::async_write(stream->lowest(), asio::buffer(head), [self = shared_from_this()](error_code failed, size_t) {
      if (self->finished) return;
      if (failed) return self->proxy_broke(failed);
      self->answer.emplace();
      self->answer->skip(true);  // a reply to CONNECT has no body
      self->answer->header_limit(16 * 1024);
      http::async_read_header(self->stream->lowest(), self->buffer, *self->answer,
                              [self](error_code not_read, std::size_t) {
                                if (self->finished) return;
                                if (not_read) return self->proxy_broke(not_read);
                                self->tunnel_answered();
                              });
    });
  }

  void proxy_broke(error_code failed) {
    if (failed == beast::error::timeout)
      return fail(errc::timeout, proxy_name() + " did not answer CONNECT " + target + " in time");
    fail(errc::transport, proxy_name() + " gave no answer to CONNECT " + target + ": " + failed.message());
  }

  void tunnel_answered() {
    const unsigned status = answer->get().result_int();
    const std::string said = proxy_name() + " answered " + std::to_string(status) + " " +
                             printable(view_of(answer->get().reason()), 100) + " to CONNECT " + target;
    if (status / 100 == 2) {
      if (buffer.size() > 0) return fail(errc::protocol, said + " and went on before TLS had begun");
      return handshake();
    }
    if (status == 407)
      return fail(errc::config, said + (to->way()->credentials.empty()
                                            ? "; give it a user name and password: http://user:password@host:port"
                                            : "; it refuses the user name and password in its address"));
    const bool may_pass = status >= 500 || status == 408 || status == 429;
    fail(may_pass ? errc::transport : errc::config, said);
  }

  void handshake() {
    auto* const tls = stream->tls();
    if (!tls) return succeed();
    error_code failed;
    if (!stream->name_server(to->address, failed)) return fail(errc::transport, "TLS: " + failed.message());
    tls->async_handshake(
        asio::ssl::stream_base::client, guarded(shared_from_this(), [](http_connecting& self, error_code refused) {
          if (!refused) return self.succeed();
          const std::string why = self.stream->verification_failure();
          self.fail(
              refused == beast::error::timeout ? errc::timeout : errc::transport,
              "TLS with " + self.where() + " failed: " + refused.message() + (why.empty() ? "" : " (" + why + ")"));
        }));
  }

  void succeed() {
    if (std::exchange(finished, true)) return;
    auto ready = std::move(stream);
    auto then = std::exchange(done, nullptr);
    release();
    then(std::move(ready));
  }

  void fail(errc kind, std::string sentence) {
    if (std::exchange(finished, true)) return;
    auto then = std::exchange(done, nullptr);
    release();
    then(http_failure{kind, false, std::move(sentence)});
  }

  void broken() noexcept {  // memory ran out on the way
    if (std::exchange(finished, true)) return;
    auto then = std::exchange(done, nullptr);
    release();
    try {
      then(http_failure{errc::transport, false, "out of memory"});
    } catch (...) {
    }
  }

  void release() {
    timer.cancel();
    if (stop_lookup) std::exchange(stop_lookup, nullptr)();
    if (stream) stream->lowest().close();
    done = nullptr;
  }

  std::string next_host() const { return to->way() ? to->way()->address.host : to->address.host; }
  std::string proxy_name() const { return "the proxy " + to->way()->address.host_header(); }
  std::string where() const {
    return to->address.host_header() + (to->way() ? " through " + proxy_name() : std::string());
  }

  asio::io_context& io;
  std::shared_ptr<const http_peer> to;
  time_point latest;
  asio::steady_timer timer;
  std::function<void(outcome)> done;
  std::function<void()> stop_lookup;
  std::unique_ptr<either_stream> stream;
  std::string target, head;
  beast::flat_buffer buffer;
  std::optional<http::response_parser<http::empty_body>> answer;
  bool finished = false;
};

}  // namespace detail
}  // namespace gradwire::inline v0
