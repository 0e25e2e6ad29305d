// SPDX-License-Identifier: Apache-2.0
// How http_server.hpp works: one thread, one io_context, one `serving` object for each connection.
#pragma once

#include <atomic>
#include <chrono>
#include <optional>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>

#include <gradwire/error.hpp>
#include <gradwire/transport/impl/http_head.hpp>
#include <gradwire/transport/impl/http_listen.hpp>
#include <gradwire/transport/network.hpp>

namespace gradwire::inline v0 {

namespace detail {

struct server_connection;

struct http_server_state {
  http_server_options options;
  http_server::handler on_request;
  tcp::endpoint where;
  std::size_t connections = 0;  // this and `waiting` are touched on the server's thread only
  asio::io_context io{1};
  tcp::acceptor acceptor{io};
  asio::steady_timer accept_again{io};
  std::set<std::shared_ptr<server_connection>> waiting;  // for the answer of the handler
  std::thread thread;
  std::weak_ptr<http_server_state> self;
};

struct server_connection : std::enable_shared_from_this<server_connection> {
  using parser_type = http::request_parser<http::string_body>;
  using reply_type = http::response<http::string_body>;
  static constexpr std::size_t head_limit = 16 * 1024;

  server_connection(http_server_state& owner, tcp::socket socket) : server(owner), stream(std::move(socket)) {
    ++server.connections;
  }
  ~server_connection() { --server.connections; }

  void start() {
    error_code ignored;
    stream.socket().set_option(tcp::no_delay(true), ignored);
    if (server.connections > server.options.max_connections) {
      return refuse(503, "the trainer serves as many connections as it may");
    }
    wait_for_request();
  }

  // Idle until the first byte; then the head has its own, shorter time.
  void wait_for_request() {
    parser.emplace();
    parser->header_limit(2 * head_limit);  // it is measured before it is parsed
    parser->body_limit(boost::none);
    if (buffer.size() > 0) return read_head();
    stream.expires_after(in_seconds(server.options.idle_timeout_seconds));
    stream.async_read_some(buffer.prepare(64 * 1024), [self = shared_from_this()](error_code failed, std::size_t n) {
      if (failed) return;
      self->buffer.commit(n);
      self->read_head();
    });
  }

  void read_head() {
    stream.expires_after(in_seconds(server.options.head_timeout_seconds));  // for all of it
    read_more_of_head();
  }

  void read_more_of_head() {
    const std::string_view text(static_cast<const char*>(buffer.data().data()), buffer.size());
    const auto end = text.find("\r\n\r\n");
    const std::string_view fault = fault_of_head(text.substr(0, end == text.npos ? end : end + 2));
    if (!fault.empty()) return refuse(400, "not an HTTP request: " + std::string(fault));
    if ((end == text.npos ? text.size() : end) > head_limit) return refuse(431, "the request's head is over 16 KiB");
    if (end != text.npos) return parse_head();
    stream.async_read_some(buffer.prepare(16 * 1024), [self = shared_from_this()](error_code failed, std::size_t n) {
      if (failed) return;
      self->buffer.commit(n);
      self->read_more_of_head();
    });
  }

  void parse_head() {
    error_code failed;
    buffer.consume(parser->put(buffer.data(), failed));
    if (failed) return refuse(400, "not an HTTP request: " + failed.message());
    if (!parser->is_header_done()) return refuse(400, "not an HTTP request");
    check_head();
  }

  void check_head() {
    const auto& head = parser->get();
    const std::string_view ambiguous = ambiguity_of(head);
    if (!ambiguous.empty()) return refuse(400, std::string(ambiguous));
    if (!is_own_host(view_of(head[http::field::host]), server.options))
      return refuse(421, "this server does not answer to that Host; it is called 127.0.0.1");
    if (head.count(http::field::origin) > 0) return refuse(403, "requests of web pages are refused");
    if (parser->content_length().value_or(0) > server.options.body_limit) return refuse_body();
    if (server.options.check_head) {
      const http_request seen{
          std::string(view_of(head.method_string())), std::string(view_of(head.target())), copy_headers(head), {}};
      if (auto at_once = server.options.check_head(seen)) {
        closing = closing || !parser->is_done();
        return send(std::move(*at_once));
      }
    }
    fields = static_cast<std::size_t>(std::distance(head.begin(), head.end()));
    parser->body_limit(server.options.body_limit);
    stream.expires_after(in_seconds(server.options.idle_timeout_seconds));
    if (same_text(view_of(head[http::field::expect]), "100-continue")) {
      static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
      asio::async_write(stream, asio::buffer(go_on.data(), go_on.size()),
                        [self = shared_from_this()](error_code failed, std::size_t) {
                          if (!failed) self->read_body();
                        });
      return;
    }
    read_body();
  }

  void read_body() {
    http::async_read(stream, buffer, *parser, [self = shared_from_this()](error_code failed, std::size_t) {
      if (failed == http::error::body_limit) return self->refuse_body();
      const bool ended = failed == http::error::end_of_stream || failed == http::error::partial_message;
      const bool is_http = failed.category() == http::make_error_code(http::error::end_of_stream).category();
      if (is_http && !ended) return self->refuse(400, "not an HTTP body: " + failed.message());
      if (failed) return;
      const auto& read = self->parser->get();
      if (static_cast<std::size_t>(std::distance(read.begin(), read.end())) != self->fields)
        return self->refuse(400, "headers behind the body are refused");  // they would pass for the head's
      self->handle();
    });
  }

  void refuse_body() {
    refuse(413, "the request's body is over the limit of " + std::to_string(server.options.body_limit) + " bytes");
  }

  void refuse(int status, const std::string& sentence) {
    closing = true;
    std::string text = "{\"detail\":\"";
    for (char c : sentence) text += (c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20) ? ' ' : c;
    send({status, {{"Content-Type", "application/json"}}, text + "\"}"});
  }

  // One answer to one request, from any thread; the last copy that goes away unused answers with 500.
  struct answer {
    answer(std::weak_ptr<server_connection> to, std::weak_ptr<http_server_state> of)
        : connection(std::move(to)), server(std::move(of)) {}
    std::weak_ptr<server_connection> connection;
    std::weak_ptr<http_server_state> server;
    std::atomic<bool> given{false};

    void give(http_response reply) {
      if (given.exchange(true)) return;
      if (auto alive = server.lock()) {
        asio::dispatch(alive->io, [to = connection, r = std::move(reply)]() mutable {
          if (auto waited = to.lock()) waited->answered(std::move(r));
        });
      }
    }
    ~answer() {
      if (!given) give({500, {{"Content-Type", "text/plain"}}, "Internal Server Error"});
    }
  };

  void handle() {
    auto message = parser->release();
    closing = !message.keep_alive();
    http_request request{std::string(view_of(message.method_string())), std::string(view_of(message.target())),
                         copy_headers(message), std::move(message.body())};
    stream.expires_never();
    auto self = shared_from_this();
    server.waiting.insert(self);
    auto once = std::make_shared<answer>(self, server.self);
    try {
      server.on_request(std::move(request), [once](http_response r) { once->give(std::move(r)); });
    } catch (const std::exception&) {
      once->give({500, {{"Content-Type", "text/plain"}}, "Internal Server Error"});
    }
  }

  void answered(http_response with) {
    if (server.waiting.erase(shared_from_this()) > 0) send(std::move(with));
  }

  void send(http_response from) {
    reply.emplace();
    reply->version(11);
    reply->result(static_cast<unsigned>(from.status));
    for (const http_header& h : from.headers) reply->insert(h.name, h.value);
    reply->keep_alive(!closing);
    const bool has_body = from.status >= 200 && from.status != 204 && from.status != 304;
    if (has_body) reply->body() = std::move(from.body);
    if (has_body) reply->content_length(reply->body().size());
    stream.expires_after(in_seconds(server.options.idle_timeout_seconds));
    http::async_write(stream, *reply, [self = shared_from_this()](error_code failed, std::size_t) {
      if (failed) return;
      self->reply.reset();
      if (!self->closing) return self->wait_for_request();
      self->drain();
    });
  }

  // Closing while the peer still sends would reset the connection and lose the answer; read a little more first.
  void drain() {
    error_code ignored;
    stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream.expires_after(std::chrono::seconds(1));
    drain_more();
  }
  void drain_more() {
    buffer.clear();
    stream.async_read_some(buffer.prepare(64 * 1024), [self = shared_from_this()](error_code failed, std::size_t n) {
      self->drained += n;
      if (!failed && self->drained < 64u * 1024 * 1024) self->drain_more();
    });
  }

  http_server_state& server;
  beast::tcp_stream stream;
  beast::flat_buffer buffer;
  std::optional<parser_type> parser;
  std::optional<reply_type> reply;
  std::size_t fields = 0;  // of the head
  std::size_t drained = 0;
  bool closing = false;
};

inline void accept_next(http_server_state& server) {
  server.acceptor.async_accept([&server](error_code failed, tcp::socket socket) {
    if (failed == asio::error::operation_aborted) return;
    if (!failed) {
      keep_private(socket);
      std::make_shared<server_connection>(server, std::move(socket))->start();
      return accept_next(server);
    }
    // Out of file descriptors, say: the connection waits in line, and asking again at once would only burn the CPU.
    server.accept_again.expires_after(std::chrono::milliseconds(50));
    server.accept_again.async_wait([&server](error_code stopped) {
      if (!stopped) accept_next(server);
    });
  });
}

}  // namespace detail

GRADWIRE_DECL http_server::http_server(http_server_options options, handler on_request)
    : state_(std::make_shared<detail::http_server_state>()) {
  detail::http_server_state& it = *state_;
  it.self = state_;
  it.options = std::move(options);
  it.on_request = std::move(on_request);
  detail::listen_at(it.acceptor, it.options);
  it.where = it.acceptor.local_endpoint();
  detail::accept_next(it);
  it.thread = std::thread([&it] { it.io.run(); });
}

GRADWIRE_DECL http_server::~http_server() {
  state_->io.stop();
  if (state_->thread.joinable()) state_->thread.join();
}

GRADWIRE_DECL std::uint16_t http_server::port() const noexcept { return state_->where.port(); }

GRADWIRE_DECL std::string http_server::base_url() const { return detail::url_of(state_->where); }

GRADWIRE_DECL void http_server::post(std::function<void()> task) { detail::asio::post(state_->io, std::move(task)); }

GRADWIRE_DECL void http_server::post_after(double seconds, std::function<void()> task) {
  detail::asio::post(state_->io, [it = state_.get(), seconds, task = std::move(task)]() mutable {
    auto timer = std::make_shared<detail::asio::steady_timer>(it->io, in_seconds(seconds));
    timer->async_wait([timer, task = std::move(task)](detail::error_code failed) {
      if (!failed) task();
    });
  });
}

}  // namespace gradwire::inline v0
