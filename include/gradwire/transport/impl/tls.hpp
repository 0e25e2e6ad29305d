// SPDX-License-Identifier: Apache-2.0
// A TLS client context that checks what has to be checked, and one stream type for TCP and TLS, so that the HTTP
// algorithms are compiled once.
#pragma once

#include <openssl/x509v3.h>

#include <optional>
#include <string>
#include <utility>

#include <gradwire/error.hpp>
#include <gradwire/transport/http.hpp>
#include <gradwire/transport/network.hpp>

namespace gradwire::inline v0 {
namespace detail {

// Asio's tls_client context verifies nothing and allows TLS 1.0 until it is told otherwise.
inline asio::ssl::context make_tls_context(const http_peer& to) {
  asio::ssl::context context(asio::ssl::context::tls_client);
  context.set_verify_mode(asio::ssl::verify_peer);
  context.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_sslv2 |
                      asio::ssl::context::no_sslv3 | asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1);
  SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
  error_code failed;
  if (to.ca_file.empty()) {
    context.set_default_verify_paths(failed);
  } else {
    context.load_verify_file(to.ca_file, failed);
  }
  if (failed) {
    throw error(errc::config, "the certificates to trust cannot be read" +
                                  (to.ca_file.empty() ? std::string() : " from " + to.ca_file) + ": " +
                                  failed.message());
  }
  return context;
}

class either_stream {
 public:
  using executor_type = beast::tcp_stream::executor_type;

  explicit either_stream(asio::io_context& io) : tcp_(std::in_place, io) {}
  either_stream(asio::io_context& io, asio::ssl::context& context)
      : tls_(std::in_place, beast::tcp_stream(io), context) {}

  executor_type get_executor() noexcept { return lowest().get_executor(); }
  beast::tcp_stream& lowest() noexcept { return tls_ ? tls_->next_layer() : *tcp_; }
  asio::ssl::stream<beast::tcp_stream>* tls() noexcept { return tls_ ? &*tls_ : nullptr; }

  template <class Buffers, class Handler>
  auto async_read_some(const Buffers& buffers, Handler&& handler) {
    if (tls_) return tls_->async_read_some(buffers, std::forward<Handler>(handler));
    return tcp_->async_read_some(buffers, std::forward<Handler>(handler));
  }
  template <class Buffers, class Handler>
  auto async_write_some(const Buffers& buffers, Handler&& handler) {
    if (tls_) return tls_->async_write_some(buffers, std::forward<Handler>(handler));
    return tcp_->async_write_some(buffers, std::forward<Handler>(handler));
  }

  // True when the peer has closed the connection, or sent something that nobody asked for.
  bool is_stale() noexcept {
    error_code failed;
    auto& socket = lowest().socket();
    socket.non_blocking(true, failed);
    char byte = 0;
    if (!failed) socket.receive(asio::buffer(&byte, 1), tcp::socket::message_peek, failed);
    return failed != asio::error::would_block && failed != asio::error::try_again;
  }

  // Sends the server's name and demands a certificate for it: by a name in it, not by its subject's common name, with
  // a wildcard for a whole label only; for an address by that address.
  bool name_server(const url& address, error_code& failed) {
    SSL* const session = tls_->native_handle();
    X509_VERIFY_PARAM* const wanted = SSL_get0_param(session);
    X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    const bool known = address.is_ip_literal()
                           ? X509_VERIFY_PARAM_set1_ip_asc(wanted, address.host.c_str()) == 1
                           : X509_VERIFY_PARAM_set1_host(wanted, address.host.c_str(), address.host.size()) == 1 &&
                                 SSL_set_tlsext_host_name(session, address.host.c_str()) == 1;
    if (!known) failed = asio::error::invalid_argument;
    return known;
  }

  // Why the certificate was refused, in OpenSSL's words; "" when it was not.
  std::string verification_failure() {
    const long why = SSL_get_verify_result(tls_->native_handle());
    return why == X509_V_OK ? "" : X509_verify_cert_error_string(why);
  }

 private:
  std::optional<beast::tcp_stream> tcp_;
  std::optional<asio::ssl::stream<beast::tcp_stream>> tls_;
};

}  // namespace detail
}  // namespace gradwire::inline v0
