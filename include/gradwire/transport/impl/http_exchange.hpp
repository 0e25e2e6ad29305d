// SPDX-License-Identifier: Apache-2.0
// One HTTP/1.1 exchange, and the pool of keep-alive connections that it takes one from. Everything here runs on the I/O
// thread, asynchronously: Beast's deadlines do not act on blocking calls. Redirects are not followed; a reply without
// framing is refused, because one that was cut looks the same.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/transport/impl/http_connect.hpp>
#include <gradwire/transport/impl/last_call.hpp>
#include <gradwire/transport/runtime.hpp>
#include <gradwire/version.hpp>

namespace gradwire::inline v0 {
namespace detail {

struct http_exchange;

// The connections to one server, and who waits for one.
struct http_pool {
  struct idle_connection {
    std::unique_ptr<either_stream> stream;
    time_point since;
  };
  std::optional<asio::ssl::context> tls;
  std::vector<idle_connection> idle;  // the last one was used last
  std::deque<std::shared_ptr<http_exchange>> waiting[3];
  std::size_t active[3] = {0, 0, 0};
};

struct http_client {
  http_client(asio::io_context& context, runtime_options chosen) : io(context), options(chosen) {}

  void send(http_call call, std::function<void(http_outcome)> done);
  void close();  // every exchange fails as `closed`

  std::size_t limit_of(traffic kind) const {
    return kind == traffic::poll ? options.max_polls : kind == traffic::submit ? options.max_submits : std::size_t(-1);
  }
  void start_waiting(http_pool& pool, traffic kind);
  std::unique_ptr<either_stream> take_idle(http_pool& pool, traffic kind);
  void give_back(http_pool& pool, std::unique_ptr<either_stream> stream);

  asio::io_context& io;
  runtime_options options;
  address_lookup resolve;                  // empty: the system's
  std::map<std::string, http_pool> pools;  // by scheme, host, port, trusted certificates and proxy
  std::set<std::shared_ptr<http_exchange>> running;
  bool closed = false;
};

struct http_exchange : std::enable_shared_from_this<http_exchange> {
  using request_type = http::request<http::span_body<const char>>;
  using parser_type = http::response_parser<http::string_body>;

  http_exchange(http_client& owner, http_pool& of, http_call what, std::function<void(http_outcome)> then)
      : client(owner), pool(of), call(std::move(what)), done(std::move(then)), timer(owner.io) {}

  void wait_in_line() {
    timer.expires_at(call.deadline);
    timer.async_wait(guarded(shared_from_this(), [](http_exchange& self, error_code stopped) {
      if (stopped || self.started) return;
      self.fail(errc::timeout, self.call.kind == traffic::poll, "no connection became free in time");
    }));
  }

  void start() {
    started = true;
    timer.cancel();
    stream = client.take_idle(pool, call.kind);
    reused = stream != nullptr;
    if (stream) return write();
    open();
  }

  void open() {
    const http_peer& to = *call.to;
    try {
      if (to.address.tls && !pool.tls) pool.tls.emplace(make_tls_context(to));
    } catch (const error& e) {
      return fail(errc::config, false, e.what());
    }
    const auto latest =
        std::min(call.deadline, std::chrono::steady_clock::now() + in_seconds(to.connect_timeout_seconds));
    connecting = std::make_shared<http_connecting>(
        client.io, call.to, to.address.tls ? &*pool.tls : nullptr, latest,
        [self = shared_from_this()](http_connecting::outcome made) {
          const auto over = std::move(self->connecting);
          if (self->finished) return;
          try {
            if (auto* failed = std::get_if<http_failure>(&made))
              return self->fail(failed->kind, failed->executed, std::move(failed->sentence));
            self->stream = std::get<std::unique_ptr<either_stream>>(std::move(made));
            self->write();
          } catch (...) {
            self->broken();
          }
        });
    connecting->start(client.resolve);
  }

  void write() {
    connected = true;
    const http_request& from = *call.request;
    const http_peer& to = *call.to;
    request.method_string(from.method);
    const bool through_proxy = to.way() && !to.address.tls;  // it is told the whole address, and no key
    request.target(through_proxy ? "http://" + to.address.host_header() + from.target : from.target);
    request.version(11);
    request.set(http::field::host, to.address.host_header());
    request.set(http::field::user_agent,
                "gradwire/" + std::to_string(version.major_) + "." + std::to_string(version.minor_));
    for (const http_header& h : to.open_headers) request.set(h.name, h.value);  // ours come after them
    for (const http_header& h : from.headers) request.set(h.name, h.value);
    if (!to.key.empty()) request.set("X-API-Key", to.key.reveal());
    if (to.bearer && !to.key.empty()) request.set(http::field::authorization, "Bearer " + to.key.reveal());
    for (const secret_header& each : to.headers) request.set(each.name, each.value.reveal());
    if (through_proxy && !to.way()->credentials.empty())
      request.set(http::field::proxy_authorization, "Basic " + to.way()->credentials.reveal());
    request.body() = {from.body.data(), from.body.size()};
    if (from.method != "GET" || !from.body.empty()) request.content_length(from.body.size());
    stream->lowest().expires_at(call.deadline);
    http::async_write(*stream, request,
                      guarded(shared_from_this(), [](http_exchange& self, error_code failed, std::size_t) {
                        // Also after a failure: a server that refuses a large body answers before it has read it.
                        self.write_failure = failed;
                        if (failed == beast::error::timeout)
                          return self.fail(errc::timeout, false, "the request could not be sent in time");
                        self.read_head();
                      }));
  }

  void read_head() {
    parser.emplace();
    parser->header_limit(16 * 1024);
    parser->body_limit(boost::none);
    http::async_read_header(*stream, buffer, *parser,
                            guarded(shared_from_this(), [](http_exchange& self, error_code failed, std::size_t) {
                              if (failed) return self.read_failed(failed);
                              if (self.parser->get().result_int() / 100 == 1)
                                return self.read_head();  // 100, 103: the answer comes yet
                              self.check_head();
                            }));
  }

  void check_head() {
    const auto& head = parser->get();
    const unsigned status = head.result_int();
    if (status == 407 && call.to->way() && !call.to->address.tls)
      return fail(errc::config, false,
                  "the proxy " + call.to->way()->address.host_header() + " wants another user name and password (407)");
    if (const std::string_view fault = ambiguous_framing(head); !fault.empty())
      return fail(errc::protocol, true, "the reply has no clear end: " + std::string(fault));
    const bool has_body = status != 204 && status != 304;
    if (has_body && !parser->chunked() && !parser->content_length()) {
      return fail(errc::protocol, true,
                  "the reply says neither its length nor chunked; one that was cut off would look the same");
    }
    const auto coding = view_of(head[http::field::content_encoding]);
    if (!coding.empty() && !same_text(coding, "identity")) {
      return fail(errc::protocol, true,
                  "the reply is compressed (" + std::string(coding.substr(0, 40)) + ") though nobody asked for it");
    }
    is_error = status >= 400;
    limit = is_error ? std::min<std::size_t>(call.reply_limit, 64 * 1024) : call.reply_limit;
    if (!is_error && parser->content_length().value_or(0) > limit) return too_long(*parser->content_length());
    parser->eager(true);
    if (const auto length = parser->content_length())  // else it is read in pieces of 512 bytes
      buffer.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(*length, 64 * 1024)) + buffer.size());
    read_body();
  }

  void read_body() {
    if (parser->is_done()) return succeed();
    http::async_read_some(*stream, buffer, *parser,
                          guarded(shared_from_this(), [](http_exchange& self, error_code failed, std::size_t) {
                            if (failed) return self.read_failed(failed);
                            const std::size_t so_far = self.parser->get().body().size();
                            if (so_far > self.limit) {
                              if (!self.is_error) return self.too_long(so_far);
                              self.parser->get().body().resize(self.limit);  // enough of it to say what went wrong
                              self.cut = true;
                              return self.succeed();
                            }
                            self.read_body();
                          }));
  }

  void too_long(std::uint64_t bytes) {
    fail(errc::protocol, true,
         "the reply has " + std::to_string(bytes) + " bytes or more, the limit for this call is " +
             std::to_string(limit));
  }

  void read_failed(error_code failed) {
    if (write_failure && !(reused && call.kind != traffic::submit))
      return fail(errc::transport, false,
                  "the connection broke while the request was being sent: " + write_failure.message());
    if (failed == beast::error::timeout) return fail(errc::timeout, true, "no complete answer in time");
    if (reused && call.kind != traffic::submit &&
        !parser->got_some()) {  // the server closed it while it was idle: a read
      reused = false;           // is asked again at once on a new connection
      connected = false;
      return open();
    }
    const bool is_http = failed.category() == http::make_error_code(http::error::end_of_stream).category();
    if (failed == http::error::end_of_stream || failed == http::error::partial_message ||
        failed == asio::ssl::error::stream_truncated) {
      return fail(errc::transport, true, "the connection was closed before the answer was complete");
    }
    fail(is_http ? errc::protocol : errc::transport, true,
         is_http ? "the answer is not HTTP: " + failed.message() : "the connection broke: " + failed.message());
  }

  void succeed() {
    auto message = parser->release();
    http_response reply;
    reply.status = static_cast<int>(message.result_int());
    reply.headers = copy_headers(message);
    reply.body = std::move(message.body());
    if (reply.status >= 300 || may_echo(reply)) hide_credentials(reply);
    if (message.keep_alive() && !cut && !write_failure && buffer.size() == 0) {
      stream->lowest().expires_never();
      client.give_back(pool, std::move(stream));
    }
    finish(std::move(reply));
  }

  // A server may say in any reply what it was sent, as a part of an error in a reply with status 200 too. There, what
  // is short may be the text by chance, what is large is a result, and a server that hands keys out may mean this one.
  bool may_echo(const http_response& reply) const {
    return call.to->key.reveal().size() >= 16 && reply.body.size() <= (1u << 20) &&
           !call.request->target.ends_with("/auth/token");
  }

  void hide_credentials(http_response& reply) const {
    const http_peer& to = *call.to;
    std::size_t longest = to.key.reveal().size();
    for (const secret_header& each : to.headers) longest = std::max(longest, each.value.reveal().size());
    reply.body = to.scrubbed(std::move(reply.body));
    // What was cut off may end in a part of one.
    if (cut) reply.body.resize(reply.body.size() - std::min(reply.body.size(), longest));
    for (http_header& each : reply.headers) each.value = to.scrubbed(std::move(each.value));
  }

  void fail(errc kind, bool executed, std::string sentence) {
    finish(http_failure{kind, executed, call.to->scrubbed(std::move(sentence))});
  }

  // Memory ran out on the way. Once the request was on its way, nobody knows.
  void broken() noexcept {
    try {
      finish(http_failure{errc::transport, connected, "out of memory"});
    } catch (...) {
    }
  }

  void finish(http_outcome outcome) {
    if (std::exchange(finished, true)) return;
    timer.cancel();
    if (connecting) std::exchange(connecting, nullptr)->stop();
    if (stream) stream->lowest().close();
    auto self = shared_from_this();
    client.running.erase(self);
    if (started) --pool.active[static_cast<unsigned>(call.kind)];
    auto then = std::move(done);
    call.abort.reset();
    if (!client.closed) client.start_waiting(pool, call.kind);
    then(std::move(outcome));
  }

  http_client& client;
  http_pool& pool;
  http_call call;
  std::function<void(http_outcome)> done;
  asio::steady_timer timer;
  std::shared_ptr<http_connecting> connecting;
  std::unique_ptr<either_stream> stream;
  request_type request;
  beast::flat_buffer buffer;
  std::optional<parser_type> parser;
  error_code write_failure;
  std::size_t limit = 0;
  bool reused = false;
  bool started = false;
  bool connected = false;
  bool is_error = false, cut = false;  // the reply
  bool finished = false;
};

}  // namespace detail
}  // namespace gradwire::inline v0
