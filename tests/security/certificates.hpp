// SPDX-License-Identifier: Apache-2.0
// Certificates that are made when a test wants them, and an HTTPS server that shows one.
#pragma once

#include <signal.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <memory>

#include "support.hpp"

namespace security {

struct freed {
  void operator()(EVP_PKEY* it) const { EVP_PKEY_free(it); }
  void operator()(X509* it) const { X509_free(it); }
  void operator()(SSL_CTX* it) const { SSL_CTX_free(it); }
  void operator()(SSL* it) const { SSL_free(it); }
};

struct certificate {
  std::shared_ptr<EVP_PKEY> key{};
  std::shared_ptr<X509> cert{};
};

struct certificate_options {
  std::string name = "localhost";             // the subject's common name
  std::string alternative = "DNS:localhost";  // subjectAltName; "": none
  int valid_from_days = -1, valid_to_days = 10;
  bool is_authority = false;
  const certificate* issuer = nullptr;  // nullptr: itself
};

inline certificate make_certificate(const certificate_options& o) {
  static long serial = 0;
  const std::shared_ptr<EVP_PKEY> key(EVP_EC_gen("P-256"), freed());
  const std::shared_ptr<X509> cert(X509_new(), freed());
  X509* const x = cert.get();
  X509_set_version(x, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(x), 86400L * o.valid_from_days);
  X509_gmtime_adj(X509_getm_notAfter(x), 86400L * o.valid_to_days);
  X509_set_pubkey(x, key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(o.name.c_str()), -1, -1, 0);
  X509_set_issuer_name(x, X509_get_subject_name(o.issuer ? o.issuer->cert.get() : x));
  const auto extend = [&](int what, const std::string& value) {
    X509_EXTENSION* const made = X509V3_EXT_conf_nid(nullptr, nullptr, what, value.c_str());
    X509_add_ext(x, made, -1);
    X509_EXTENSION_free(made);
  };
  extend(NID_basic_constraints, o.is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (!o.alternative.empty()) extend(NID_subject_alt_name, o.alternative);
  X509_sign(x, o.issuer ? o.issuer->key.get() : key.get(), EVP_sha256());
  return {key, cert};
}

inline std::string write_pem(const std::filesystem::path& file, const certificate& shown) {
  std::FILE* const out = std::fopen(file.c_str(), "w");
  PEM_write_X509(out, shown.cert.get());
  std::fclose(out);
  return file.string();
}

struct tls_behaviour {
  int min_version = 0, max_version = 0;  // 0: the library's
  std::string reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
  bool close_notify = true;
};

// Answers every request and notes what it was asked. Certificates behind the first one are sent along.
class tls_server {
 public:
  tls_server(const std::vector<certificate>& chain, tls_behaviour how)
      : how_(std::move(how)), context_(SSL_CTX_new(TLS_server_method())), listener_([this](int it) { serve(it); }) {
    SSL_CTX* const c = context_.get();
    SSL_CTX_use_certificate(c, chain.at(0).cert.get());
    SSL_CTX_use_PrivateKey(c, chain.at(0).key.get());
    for (std::size_t i = 1; i < chain.size(); ++i) SSL_CTX_add1_chain_cert(c, chain[i].cert.get());
    if (how_.max_version != 0 && how_.max_version < TLS1_2_VERSION) SSL_CTX_set_security_level(c, 0);
    SSL_CTX_set_min_proto_version(c, how_.min_version);
    SSL_CTX_set_max_proto_version(c, how_.max_version);
  }
  explicit tls_server(const certificate& shown, tls_behaviour how = {})
      : tls_server(std::vector{shown}, std::move(how)) {}

  std::uint16_t port() const { return listener_.port(); }
  std::string at(const std::string& host) const { return "https://" + listener_.at(host); }

  heard requests, names, versions;
  std::atomic<bool> replying{false};

 private:
  void serve(int socket) {
    ::sigset_t broken_pipe;  // OpenSSL writes to a socket as to a file, and the client may have gone
    ::sigemptyset(&broken_pipe);
    ::sigaddset(&broken_pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
    const std::unique_ptr<SSL, freed> session(SSL_new(context_.get()));
    SSL_set_fd(session.get(), socket);
    if (SSL_accept(session.get()) != 1) return;
    const char* const name = SSL_get_servername(session.get(), TLSEXT_NAMETYPE_host_name);
    names.add(name ? name : "(none)");
    versions.add(SSL_get_version(session.get()));
    std::string request;
    while (!contains(request, "\r\n\r\n")) {
      char block[4096];
      const int got = SSL_read(session.get(), block, sizeof block);
      if (got <= 0) return;
      request.append(block, static_cast<std::size_t>(got));
    }
    requests.add(request);
    replying = true;
    SSL_write(session.get(), how_.reply.data(), static_cast<int>(how_.reply.size()));
    if (how_.close_notify) SSL_shutdown(session.get());
    ::shutdown(socket, SHUT_WR);
    while (!read_some(socket).empty()) continue;
  }

  tls_behaviour how_;
  std::unique_ptr<SSL_CTX, freed> context_;
  listener listener_;  // last: its thread uses the others
};

}  // namespace security
