// SPDX-License-Identifier: Apache-2.0
// TLS: who is let in, in OpenSSL's own words, and that nobody else hears a request. Names that this machine does not
// have are reached through a proxy of the test, which leads them all to the test's server.
#include "certificates.hpp"
#include "relay.hpp"

using namespace security;

namespace {

struct way_to {
  std::string host = "localhost";  // another name goes through a proxy
  std::string trusted{};           // a PEM file; "": the system's
};

http_outcome ask(const tls_server& server, const way_to& way) {
  http_peer to = peer_at(server.at(way.host), canary("tls"));
  to.ca_file = way.trusted;
  if (to.address.is_loopback()) return exchange(std::move(to));
  connect_proxy proxy(server.port());
  to.proxy = proxy.way();
  auto outcome = exchange(std::move(to));
  BOOST_TEST(!contains(proxy.heads.text(), "canary"));
  BOOST_TEST(!contains(proxy.inside.text(), "canary"));
  return outcome;
}

// Refused for this reason before anything was said.
void is_refused(const std::vector<certificate>& chain, const way_to& way, std::string_view reason,
                const tls_behaviour& how = {}) {
  tls_server server(chain, how);
  const auto failed = failure_of(ask(server, way), errc::transport, reason);
  BOOST_TEST(!failed.executed);
  BOOST_TEST(contains(failed.sentence, "TLS with " + way.host));
  BOOST_TEST(server.requests.all().empty());
}

void is_accepted(const std::vector<certificate>& chain, const way_to& way, const tls_behaviour& how = {}) {
  tls_server server(chain, how);
  BOOST_TEST(is_answered(ask(server, way)));
  BOOST_REQUIRE(server.requests.all().size() == 1);
  BOOST_TEST(contains(server.requests.text(), "X-API-Key: " + canary("tls")));
}

// An authority whose certificate is trusted, and what it signs.
struct authority {
  temporary_folder folder;
  certificate own;
  std::string file;

  explicit authority(const std::string& name)
      : own(make_certificate({.name = name, .alternative = "", .is_authority = true})),
        file(write_pem(folder.path / "authority.pem", own)) {}

  certificate signs(certificate_options o) const {
    o.issuer = &own;
    return make_certificate(o);
  }
};

const authority& trusted() {
  static const authority one("gradwire test authority");
  return one;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tls)

SECURITY_TEST(T01, a_certificate_of_a_trusted_authority_is_accepted) {
  is_accepted({trusted().signs({})}, {.trusted = trusted().file});
}

SECURITY_TEST(T01, self_signed) { is_refused({make_certificate({})}, {}, "self-signed certificate"); }

SECURITY_TEST(T01, a_self_signed_one_that_is_trusted_is_accepted) {
  const auto own = make_certificate({});
  is_accepted({own}, {.trusted = write_pem(trusted().folder.path / "own.pem", own)});
}

SECURITY_TEST(T01, expired) {
  is_refused({trusted().signs({.valid_from_days = -10, .valid_to_days = -1})}, {.trusted = trusted().file},
             "certificate has expired");
}

SECURITY_TEST(T01, not_yet_valid) {
  is_refused({trusted().signs({.valid_from_days = 2})}, {.trusted = trusted().file}, "certificate is not yet valid");
}

SECURITY_TEST(T01, unknown_authority) {
  const authority other("another authority");
  is_refused({other.signs({})}, {.trusted = trusted().file}, "unable to get local issuer certificate");
  is_refused({other.signs({}), other.own}, {.trusted = trusted().file}, "self-signed certificate in certificate chain");
  is_refused({other.signs({})}, {}, "unable to get local issuer certificate");  // the system's do not know it either
}

SECURITY_TEST(T01, an_ordinary_certificate_is_no_authority) {
  const auto leaf = trusted().signs({.name = "leaf"});
  const auto below = make_certificate({.issuer = &leaf});
  is_refused({below, leaf}, {.trusted = trusted().file}, "invalid CA certificate");
}

SECURITY_TEST(T01, the_system_s_authorities_are_those_that_openssl_is_told_of) {
  ::setenv("SSL_CERT_FILE", trusted().file.c_str(), 1);
  is_accepted({trusted().signs({})}, {});
  ::unsetenv("SSL_CERT_FILE");
  is_refused({trusted().signs({})}, {}, "unable to get local issuer certificate");
}

SECURITY_TEST(T01, a_file_of_authorities_that_cannot_be_read) {
  tls_server server(trusted().signs({}));
  failure_of(ask(server, {.trusted = (trusted().folder.path / "none.pem").string()}), errc::config, "none.pem");
  BOOST_TEST(server.requests.all().empty());
}

SECURITY_TEST(T02, another_host_name) {
  is_refused({trusted().signs({.alternative = "DNS:other.test"})}, {.trusted = trusted().file}, "hostname mismatch");
  is_refused({trusted().signs({.alternative = "DNS:trainer.test.evil"})}, {"trainer.test", trusted().file},
             "hostname mismatch");
  is_accepted({trusted().signs({.alternative = "DNS:other.test, DNS:trainer.test"})}, {"trainer.test", trusted().file});
}

SECURITY_TEST(T02, the_common_name_is_no_name) {
  is_refused({trusted().signs({.name = "localhost", .alternative = ""})}, {.trusted = trusted().file},
             "hostname mismatch");
}

SECURITY_TEST(T02, an_address_without_an_address_in_the_certificate) {
  is_refused({trusted().signs({.alternative = "DNS:localhost, DNS:127.0.0.1"})}, {"127.0.0.1", trusted().file},
             "IP address mismatch");
  is_refused({trusted().signs({.alternative = "IP:127.0.0.2"})}, {"127.0.0.1", trusted().file}, "IP address mismatch");
  is_accepted({trusted().signs({.alternative = "IP:127.0.0.1"})}, {"127.0.0.1", trusted().file});
}

SECURITY_TEST(T02, a_wildcard_is_one_label) {
  const auto wild = trusted().signs({.alternative = "DNS:*.trainer.test"});
  is_accepted({wild}, {"a.trainer.test", trusted().file});
  is_refused({wild}, {"a.b.trainer.test", trusted().file}, "hostname mismatch");
  is_refused({wild}, {"trainer.test", trusted().file}, "hostname mismatch");
  is_refused({trusted().signs({.alternative = "DNS:*.*.trainer.test"})}, {"a.b.trainer.test", trusted().file},
             "hostname mismatch");
  is_refused({trusted().signs({.alternative = "DNS:a*.trainer.test"})}, {"ab.trainer.test", trusted().file},
             "hostname mismatch");
}

SECURITY_TEST(T03, the_server_is_told_the_name_and_no_address) {
  const auto named = trusted().signs({.alternative = "DNS:localhost, DNS:trainer.test, IP:127.0.0.1"});
  tls_server server(named);
  BOOST_TEST(is_answered(ask(server, {"localhost", trusted().file})));
  BOOST_TEST(is_answered(ask(server, {"trainer.test", trusted().file})));
  BOOST_TEST(is_answered(ask(server, {"127.0.0.1", trusted().file})));
  BOOST_TEST(server.names.all() == (std::vector<std::string>{"localhost", "trainer.test", "(none)"}),
             boost::test_tools::per_element());
}

SECURITY_TEST(T03, versions_before_1_2_are_refused) {
  const auto good = trusted().signs({});
  for (const int old : {TLS1_VERSION, TLS1_1_VERSION})
    is_refused({good}, {.trusted = trusted().file}, "protocol", {.min_version = TLS1_VERSION, .max_version = old});
  is_accepted({good}, {.trusted = trusted().file}, {.min_version = TLS1_VERSION, .max_version = TLS1_2_VERSION});
  is_accepted({good}, {.trusted = trusted().file}, {.min_version = TLS1_3_VERSION});
  tls_server newest({good}, {.min_version = TLS1_VERSION});
  BOOST_TEST(is_answered(ask(newest, {.trusted = trusted().file})));
  BOOST_TEST(newest.versions.text() == "TLSv1.3");
}

SECURITY_TEST(T04, an_end_without_close_notify_in_the_middle_of_a_body) {
  const std::string half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
  const std::string chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
  const std::string unframed = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf";
  for (const bool notified : {false, true}) {
    for (const std::string& reply : {half, chunk}) {
      tls_server server(trusted().signs({}), {.reply = reply, .close_notify = notified});
      const auto failed =
          failure_of(ask(server, {.trusted = trusted().file}), errc::transport, "before the answer was complete");
      BOOST_TEST(failed.executed);
    }
    tls_server server(trusted().signs({}), {.reply = unframed, .close_notify = notified});
    failure_of(ask(server, {.trusted = trusted().file}), errc::protocol, "cut off");
  }
}

SECURITY_TEST(T04, an_answer_that_is_whole_needs_no_close_notify) {
  is_accepted({trusted().signs({})}, {.trusted = trusted().file}, {.close_notify = false});
}

SECURITY_TEST(T05, a_byte_that_was_changed_on_the_way) {
  tls_server server(trusted().signs({}));
  listener wire([&](int client) {
    const int upstream = connect_to(server.port());
    carry(client, upstream, [&](std::string& said) {
      if (!server.replying || said.size() < 6) return;
      const auto length =
          static_cast<std::size_t>(static_cast<unsigned char>(said[3]) * 256 + static_cast<unsigned char>(said[4]));
      char& last = said[std::min(5 + length, said.size()) - 1];  // of the first record that is here
      last = static_cast<char>(last ^ 1);
    });
    ::close(upstream);
  });
  http_peer to = peer_at("https://" + wire.at("localhost"), canary("tls"));
  to.ca_file = trusted().file;
  const auto failed = failure_of(exchange(std::move(to)), errc::transport, "bad record mac");
  BOOST_TEST(failed.executed);  // the request had arrived
  BOOST_TEST(server.requests.all().size() == 1);
}

BOOST_AUTO_TEST_SUITE_END()
