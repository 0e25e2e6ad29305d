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

#include <gradwire/transport/impl/tls.hpp>
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
  std::map<std::string, http_pool> pools;  // by scheme, host, port and trusted certificates
  std::set<std::shared_ptr<http_exchange>> running;
  bool closed = false;
};

struct http_exchange : std::enable_shared_from_this<http_exchange> {
  using request_type = http::request<http::span_body<const char>>;
  using parser_type = http::response_parser<http::string_body>;

  http_exchange(http_client& owner, http_pool& of, http_call what, std::function<void(http_outcome)> then)
      : client(owner), pool(of), call(std::move(what)), done(std::move(then)), resolver(owner.io), timer(owner.io) {}

  void wait_in_line() {
    timer.expires_at(call.deadline);
    timer.async_wait([self = shared_from_this()](error_code stopped) {
      if (stopped || self->started || self->finished) return;
      self->fail(errc::timeout, self->call.kind == traffic::poll, "no connection became free in time");
    });
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
    const url& address = call.to->address;
    try {
      if (address.tls && !pool.tls) pool.tls.emplace(make_tls_context(*call.to));
    } catch (const error& e) {
      return fail(errc::config, false, e.what());
    }
    stream = address.tls ? std::make_unique<either_stream>(client.io, *pool.tls)
                         : std::make_unique<either_stream>(client.io);
    const auto latest =
        std::min(call.deadline, std::chrono::steady_clock::now() + in_seconds(call.to->connect_timeout_seconds));
    stream->lowest().expires_at(latest);
    timer.expires_at(latest);  // a name lookup cannot be stopped, only abandoned
    timer.async_wait([self = shared_from_this()](error_code stopped) {
      if (!stopped && !self->connected)
        self->fail(errc::timeout, false, "connecting to " + self->where() + " took too long");
    });
    error_code no_address;
    const auto ip = asio::ip::make_address(address.host, no_address);
    if (!no_address)
      return connect(tcp::resolver::results_type::create(tcp::endpoint(ip, address.port), address.host, ""));
    resolver.async_resolve(
        address.host, std::to_string(address.port),
        [self = shared_from_this()](error_code failed, tcp::resolver::results_type found) {
          if (self->finished) return;
          if (failed)
            return self->fail(errc::transport, false,
                              "the name " + self->call.to->address.host + " cannot be resolved: " + failed.message());
          self->connect(found);
        });
  }

  void connect(const tcp::resolver::results_type& found) {
    stream->lowest().async_connect(found, [self = shared_from_this()](error_code failed, const tcp::endpoint&) {
      if (self->finished) return;
      if (failed)
        return self->fail(failed == beast::error::timeout ? errc::timeout : errc::transport, false,
                          "connecting to " + self->where() + ": " + failed.message());
      error_code ignored;
      self->stream->lowest().socket().set_option(tcp::no_delay(true), ignored);
      self->handshake();
    });
  }

  void handshake() {
    auto* const tls = stream->tls();
    if (!tls) return write();
    error_code failed;
    if (!stream->name_server(call.to->address, failed)) return fail(errc::transport, false, "TLS: " + failed.message());
    tls->async_handshake(asio::ssl::stream_base::client, [self = shared_from_this()](error_code refused) {
      if (self->finished) return;
      if (!refused) return self->write();
      std::string why = self->stream->verification_failure();
      self->fail(refused == beast::error::timeout ? errc::timeout : errc::transport, false,
                 "TLS with " + self->where() + " failed: " + refused.message() + (why.empty() ? "" : " (" + why + ")"));
    });
  }

  void write() {
    connected = true;
    timer.cancel();
    const http_request& from = *call.request;
    const http_peer& to = *call.to;
    request.method_string(from.method);
    request.target(from.target);
    request.version(11);
    request.set(http::field::host, to.address.host_header());
    request.set(http::field::user_agent,
                "gradwire/" + std::to_string(version.major_) + "." + std::to_string(version.minor_));
    for (const http_header& h : from.headers) request.set(h.name, h.value);
    if (!to.key.empty()) request.set("X-API-Key", to.key.reveal());
    request.body() = {from.body.data(), from.body.size()};
    if (from.method != "GET" || !from.body.empty()) request.content_length(from.body.size());
    stream->lowest().expires_at(call.deadline);
    http::async_write(*stream, request, [self = shared_from_this()](error_code failed, std::size_t) {
      if (self->finished) return;
      // Also after a failure: a server that refuses a large body answers before it has read it.
      self->write_failure = failed;
      if (failed == beast::error::timeout)
        return self->fail(errc::timeout, false, "the request could not be sent in time");
      self->read_head();
    });
  }

  void read_head() {
    parser.emplace();
    parser->header_limit(16 * 1024);
    parser->body_limit(boost::none);
    http::async_read_header(*stream, buffer, *parser, [self = shared_from_this()](error_code failed, std::size_t) {
      if (self->finished) return;
      if (failed) return self->read_failed(failed);
      if (self->parser->get().result_int() / 100 == 1) return self->read_head();  // 100, 103: the answer comes yet
      self->check_head();
    });
  }

  void check_head() {
    const auto& head = parser->get();
    const unsigned status = head.result_int();
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
    read_body();
  }

  void read_body() {
    if (parser->is_done()) return succeed();
    http::async_read_some(*stream, buffer, *parser, [self = shared_from_this()](error_code failed, std::size_t) {
      if (self->finished) return;
      if (failed) return self->read_failed(failed);
      const std::size_t so_far = self->parser->get().body().size();
      if (so_far > self->limit) {
        if (!self->is_error) return self->too_long(so_far);
        self->parser->get().body().resize(self->limit);  // enough of it to say what went wrong
        self->cut = true;
        return self->succeed();
      }
      self->read_body();
    });
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
    if (is_error) {
      reply.body = call.to->key.removed_from(std::move(reply.body));  // a server may echo it
    }
    if (message.keep_alive() && !cut && !write_failure && buffer.size() == 0) {
      stream->lowest().expires_never();
      client.give_back(pool, std::move(stream));
    }
    finish(std::move(reply));
  }

  void fail(errc kind, bool executed, std::string sentence) {
    finish(http_failure{kind, executed, call.to->key.removed_from(std::move(sentence))});
  }

  void finish(http_outcome outcome) {
    if (finished) return;
    finished = true;
    timer.cancel();
    resolver.cancel();
    if (stream) stream->lowest().close();
    auto self = shared_from_this();
    client.running.erase(self);
    if (started) --pool.active[static_cast<unsigned>(call.kind)];
    auto then = std::move(done);
    if (!client.closed) client.start_waiting(pool, call.kind);
    then(std::move(outcome));
  }

  std::string where() const { return call.to->address.host_header(); }

  http_client& client;
  http_pool& pool;
  http_call call;
  std::function<void(http_outcome)> done;
  tcp::resolver resolver;
  asio::steady_timer timer;
  std::unique_ptr<either_stream> stream;
  request_type request;
  beast::flat_buffer buffer;
  std::optional<parser_type> parser;
  error_code write_failure;
  std::size_t limit = 0;
  bool reused = false;
  bool started = false;
  bool connected = false;
  bool is_error = false;
  bool cut = false;
  bool finished = false;
};

}  // namespace detail
}  // namespace gradwire::inline v0
