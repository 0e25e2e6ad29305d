// SPDX-License-Identifier: Apache-2.0
// The only header of the library that includes Beast (and OpenSSL through Asio): names for what the client and the
// server use of it, and what both must say the same way.
#pragma once

#include <cerrno>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include <gradwire/transport/http_message.hpp>

namespace gradwire::inline v0 {
namespace detail {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using tcp = boost::asio::ip::tcp;
using error_code = boost::system::error_code;

inline std::string_view view_of(beast::string_view text) noexcept { return {text.data(), text.size()}; }

// A socket or acceptor that programs started by this one do not inherit: they would keep the port, or the connection.
template <class Socket>
void open_privately(Socket& socket, const tcp& protocol, error_code& failed) {
  const int descriptor = ::socket(protocol.family(), protocol.type() | SOCK_CLOEXEC, protocol.protocol());
  if (descriptor < 0) {
    failed.assign(errno, boost::system::system_category());
    return;
  }
  socket.assign(protocol, descriptor, failed);
  if (failed) ::close(descriptor);
}

inline void keep_private(tcp::socket& accepted) noexcept { ::fcntl(accepted.native_handle(), F_SETFD, FD_CLOEXEC); }

template <class Fields>
std::vector<http_header> copy_headers(const Fields& fields) {
  std::vector<http_header> headers;
  for (const auto& field : fields) {
    headers.push_back({std::string(view_of(field.name_string())), std::string(view_of(field.value()))});
  }
  return headers;
}

// How a message says where its body ends must be said once, in words that every reader takes alike; the parser passes
// over a coding that it does not know and goes by the length next to it.
template <class Head>
std::string_view ambiguous_framing(const Head& head) {
  const auto codings = head.count(http::field::transfer_encoding);
  const auto lengths = head.count(http::field::content_length);
  if (codings > 0 && (head.version() != 11 || !same_text(view_of(head[http::field::transfer_encoding]), "chunked")))
    return "Transfer-Encoding may only be chunked, with HTTP/1.1";
  if (codings + lengths > 1) return "two framings of one body";
  const std::string_view length = view_of(head[http::field::content_length]);
  if (lengths > 0 && (length.empty() || length.find_first_not_of("0123456789") != length.npos))
    return "Content-Length may only be one number";
  return {};
}

}  // namespace detail
}  // namespace gradwire::inline v0
