// SPDX-License-Identifier: Apache-2.0
// Proxies: which one is taken, what it is told, what goes wrong with it. No proxy ever sees a key.
#include <cstdlib>
#include <map>

#include "certificates.hpp"
#include "relay.hpp"

using namespace security;

namespace {

const std::string password = canary("proxy-password");
const std::string in_base64 = "dXNlcjp0bWwtY2FuYXJ5LXByb3h5LXBhc3N3b3Jk";  // user:tml-canary-proxy-password

struct trusted_server {
  certificate own = make_certificate({.name = "trainer", .alternative = "DNS:trainer.test"});
  temporary_folder folder;
  std::string file = write_pem(folder.path / "own.pem", own);
};

const trusted_server& trusted() {
  static const trusted_server one;
  return one;
}

http_peer peer_through(const http_proxy& proxy, const std::string& address = "https://trainer.test:8443") {
  http_peer to = peer_at(address, canary("through-a-proxy"));
  to.ca_file = trusted().file;
  to.proxy = proxy;
  return to;
}

using variables = std::map<std::string, std::string>;

environment_reader reading(const variables& from) {
  return [&from](const char* name) -> const char* {
    const auto found = from.find(name);
    return found == from.end() ? nullptr : found->second.c_str();
  };
}

std::string chosen(const variables& from, const std::string& address, const std::string& wish = "") {
  const auto found = choose_proxy(parse_url(address), wish, reading(from));
  return found ? found->address.host_header() : "";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(proxy)

SECURITY_TEST(T06, connect_and_then_tls_with_the_server) {
  tls_server server(trusted().own);
  connect_proxy proxy(server.port());
  BOOST_TEST(is_answered(exchange(peer_through(proxy.way()))));
  BOOST_TEST(proxy.heads.text() == "CONNECT trainer.test:8443 HTTP/1.1\r\nHost: trainer.test:8443\r\n\r\n");
  BOOST_TEST(contains(server.requests.text(), "X-API-Key: " + canary("through-a-proxy") + "\r\n"));
  BOOST_TEST(contains(server.requests.text(), "Host: trainer.test:8443\r\n"));
  BOOST_TEST(!contains(server.requests.text(), "Proxy-Authorization"));
  BOOST_TEST(!contains(proxy.inside.text(), "canary"));  // it is encrypted
  BOOST_TEST(server.names.text() == "trainer.test");
}

SECURITY_TEST(T06, a_proxy_that_leads_to_another_server_is_found_out) {
  tls_server other(make_certificate({.name = "other", .alternative = "DNS:other.test"}));
  connect_proxy proxy(other.port());
  failure_of(exchange(peer_through(proxy.way())), errc::transport, "self-signed certificate");
  BOOST_TEST(other.requests.all().empty());
}

SECURITY_TEST(T06, refusals_name_the_proxy) {
  const struct {
    const char* reply;
    errc kind;
    const char* says;
  } rows[] = {
      {"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
       errc::config, "answered 407 Proxy Authentication Required to CONNECT trainer.test:8443; give it a user name"},
      {"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", errc::config, "answered 403 Forbidden"},
      {"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n", errc::config, "answered 405"},
      {"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nno!", errc::transport, "answered 502 Bad Gateway"},
      {"HTTP/1.1 503 Busy\r\n\r\n", errc::transport, "answered 503 Busy"},
      {"HTTP/1.1 503 Busy\x1b[2J\r\n\r\n", errc::transport, "gave no answer to CONNECT trainer.test:8443"},
      {"HTTP/1.1 429 Slow\r\n\r\n", errc::transport, "answered 429"},
      {"HTTP/1.1 307 Elsewhere\r\nLocation: https://evil.test/\r\n\r\n", errc::config, "answered 307"},
      {"HTTP/1.1 200 OK\r\n\r\nI go on", errc::protocol, "went on before TLS had begun"},
      {"what is this?\r\n\r\n", errc::transport, "gave no answer to CONNECT trainer.test:8443"},
      {"HTTP/1.1 20", errc::transport, "gave no answer to CONNECT trainer.test:8443"},
      {"", errc::transport, "gave no answer to CONNECT trainer.test:8443"},
  };
  for (const auto& row : rows) {
    connect_proxy proxy(0, row.reply);
    const auto failed = failure_of(exchange(peer_through(proxy.way("user:" + password))), row.kind,
                                   std::string_view(row.says).find("give it") == std::string_view::npos
                                       ? std::string_view(row.says)
                                       : "it refuses the user name and password in its address");
    BOOST_TEST(contains(failed.sentence, "the proxy " + proxy.name()), failed.sentence);
    BOOST_TEST(!contains(failed.sentence, in_base64), failed.sentence);
    BOOST_TEST(!failed.executed);
  }
  connect_proxy proxy(0, rows[0].reply);
  failure_of(exchange(peer_through(proxy.way())), errc::config, rows[0].says);
}

SECURITY_TEST(T06, a_proxy_that_hangs) {
  listener silent([](int it) {
    while (!read_some(it).empty()) continue;
  });
  http_peer to = peer_through(parse_proxy(silent.at("127.0.0.1"), "the proxy"));
  to.connect_timeout_seconds = 0.2;
  const auto failed = failure_of(exchange(std::move(to)), errc::timeout, "the proxy " + silent.at("127.0.0.1"));
  BOOST_TEST(!failed.executed);
}

SECURITY_TEST(T06, a_proxy_that_is_not_there) {
  std::uint16_t port = 0;
  {
    listener gone([](int) {});
    port = gone.port();
  }
  failure_of(exchange(peer_through(parse_proxy("127.0.0.1:" + std::to_string(port), "the proxy"))), errc::transport,
             "through the proxy 127.0.0.1:" + std::to_string(port));
}

SECURITY_TEST(T06, plain_http_goes_to_the_proxy_with_the_whole_address_and_no_key) {
  heard heads;
  listener proxy([&](int it) {
    heads.add(read_request(it));
    write_all(it, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
  });
  http_peer to = peer_at("http://trainer.test:8000/prefix");
  to.proxy = parse_proxy("http://user:" + password + "@" + proxy.at("127.0.0.1"), "the proxy");
  BOOST_TEST(is_answered(exchange(to, {.target = "/prefix/x"})));
  BOOST_TEST(
      heads.text().starts_with("POST http://trainer.test:8000/prefix/x HTTP/1.1\r\nHost: trainer.test:8000\r\n"));
  BOOST_TEST(contains(heads.text(), "Proxy-Authorization: Basic " + in_base64 + "\r\n"));
  for (const bool allowed : {false, true}) {  // nothing allows that the proxy reads the key
    to.key = secret(canary("in-clear"));
    to.allow_key_over_http = allowed;
    failure_of(exchange(to), errc::config, "over http through a proxy");
  }
  BOOST_TEST(proxy.connections == 1);
}

SECURITY_TEST(T06, plain_http_to_a_proxy_that_wants_a_password) {
  listener proxy([](int it) {
    read_request(it);
    write_all(it, "HTTP/1.1 407 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  });
  http_peer to = peer_at("http://trainer.test");
  to.proxy = parse_proxy(proxy.at("127.0.0.1"), "the proxy");
  failure_of(exchange(to), errc::config, "the proxy " + proxy.at("127.0.0.1") + " wants");
}

SECURITY_TEST(T07, which_proxy_is_taken) {
  const variables lower{{"https_proxy", "low:1"}, {"HTTPS_PROXY", "high:2"}, {"http_proxy", "plain:3"}};
  BOOST_TEST(chosen(lower, "https://trainer.test") == "low:1");
  BOOST_TEST(chosen(lower, "http://trainer.test") == "plain:3");
  BOOST_TEST(chosen({{"HTTPS_PROXY", "http://high:2"}}, "https://trainer.test") == "high:2");
  BOOST_TEST(chosen({{"HTTPS_PROXY", "http://high:2"}}, "http://trainer.test") == "");
  BOOST_TEST(chosen({{"HTTP_PROXY", "http://high:2"}}, "http://trainer.test") == "high:2");
  BOOST_TEST(chosen({{"HTTP_PROXY", "http://high:2"}}, "https://trainer.test") == "");
  BOOST_TEST(chosen({{"HTTP_PROXY", "http://evil:2"}, {"REQUEST_METHOD", "GET"}}, "http://trainer.test") == "");
  BOOST_TEST(chosen({{"ALL_PROXY", "all:5"}}, "https://trainer.test") == "all:5");
  BOOST_TEST(chosen({{"all_proxy", "all:5"}, {"HTTPS_PROXY", "https:6"}}, "https://trainer.test") == "https:6");
  BOOST_TEST(chosen({{"https_proxy", ""}, {"HTTPS_PROXY", " "}, {"all_proxy", "all:5"}}, "https://trainer.test") ==
             "all:5");
  BOOST_TEST(chosen({}, "https://trainer.test") == "");
  BOOST_TEST(chosen(lower, "https://trainer.test", "none") == "");
  BOOST_TEST(chosen(lower, "https://trainer.test", "http://own:7") == "own:7");
  BOOST_TEST(chosen({{"https_proxy", "http://[::1]:3128/"}}, "https://trainer.test") == "[::1]:3128");
  BOOST_TEST(chosen({{"https_proxy", "proxy"}}, "https://trainer.test") == "proxy");  // port 80
}

SECURITY_TEST(T07, this_machine_is_never_reached_through_a_proxy) {
  const variables all{{"https_proxy", "p:1"}, {"http_proxy", "p:1"}, {"all_proxy", "p:1"}};
  for (const char* address : {"http://127.0.0.1:8000", "https://127.0.0.1", "http://localhost:8000",
                              "https://LOCALHOST", "http://[::1]:8000", "http://127.9.9.9"}) {
    BOOST_TEST(chosen(all, address) == "", address);
    BOOST_TEST(chosen(all, address, "http://own:7") == "", address);
  }
  // Nor when the transport is told to.
  listener proxy([](int) {});
  listener server([](int it) {
    read_request(it);
    write_all(it, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
  });
  http_peer to = peer_at("http://" + server.at("127.0.0.1"), canary("direct"));
  to.proxy = parse_proxy(proxy.at("127.0.0.1"), "the proxy");
  BOOST_TEST(is_answered(exchange(to)));
  BOOST_TEST(proxy.connections == 0);
}

SECURITY_TEST(T07, no_proxy) {
  const struct {
    const char* list;
    const char* address;
    bool direct;
  } rows[] = {
      {"*", "https://trainer.test", true},
      {"", "https://trainer.test", false},
      {" , ,", "https://trainer.test", false},
      {"trainer.test", "https://trainer.test", true},
      {"Trainer.TEST", "https://trainer.test", true},
      {"trainer.test", "https://a.trainer.test", true},
      {".trainer.test", "https://a.trainer.test", true},
      {"*.trainer.test", "https://a.trainer.test", true},
      {".trainer.test", "https://trainer.test", true},
      {"trainer.test", "https://mytrainer.test", false},
      {"ainer.test", "https://trainer.test", false},
      {"trainer.test", "https://trainer.test.evil", false},
      {"test", "https://trainer.test", true},
      {"other.test, trainer.test", "https://trainer.test", true},
      {"trainer.test:443", "https://trainer.test", true},
      {"trainer.test:8443", "https://trainer.test", false},
      {"trainer.test:8443", "https://trainer.test:8443", true},
      {"10.0.0.5", "https://10.0.0.5", true},
      {"10.0.0.5", "https://10.0.0.50", false},
      {".0.0.5", "https://10.0.0.5", false},
      {"10.0.0.0/8", "https://10.200.3.4", true},
      {"10.0.0.0/8", "https://11.0.0.1", false},
      {"10.128.0.0/9", "https://10.127.0.1", false},
      {"10.128.0.0/9", "https://10.129.0.1", true},
      {"10.0.0.0/33", "https://10.0.0.1", false},
      {"10.0.0.0/", "https://10.0.0.1", false},
      {"0.0.0.0/0", "https://10.0.0.1", true},
      {"10.0.0.0/8", "https://ten.test", false},
      {"fd00::/8", "https://[fd12::1]", true},
      {"fd00::/8", "https://[fe80::1]", false},
      {"fd12::1", "https://[fd12:0::1]", true},
      {"[fd12::1]", "https://[fd12::1]", true},
      {"[fd12::1]:8443", "https://[fd12::1]:8443", true},
      {"[fd12::1]:8443", "https://[fd12::1]", false},
      {"[fd12::1", "https://[fd12::1]", false},
  };
  for (const auto& row : rows) {
    const std::string told = std::string("'") + row.list + "' " + row.address;
    BOOST_TEST(is_exempt_from_proxy(row.list, parse_url(row.address)) == row.direct, told);
    for (const char* name : {"NO_PROXY", "no_proxy"})
      BOOST_TEST(chosen({{"HTTPS_PROXY", "p:1"}, {name, row.list}}, row.address).empty() == row.direct, told);
  }
}

SECURITY_TEST(T07, the_proxy_s_password_is_sent_to_it_and_never_shown) {
  tls_server server(trusted().own);
  connect_proxy proxy(server.port());
  BOOST_TEST(is_answered(exchange(peer_through(proxy.way("user:" + password)))));
  BOOST_TEST(contains(proxy.heads.text(), "\r\nProxy-Authorization: Basic " + in_base64 + "\r\n"));
  BOOST_TEST(!contains(server.requests.text(), in_base64));
  BOOST_TEST(parse_proxy("http://us%40er:p%3Aa%20ss@p:1", "x").credentials.reveal() ==
             "dXNAZXI6cDphIHNz");  // us@er:p:a ss
  BOOST_TEST(parse_proxy("u:p@ss@p:1", "x").address.host == "p");

  // A proxy's address that cannot be used shows nothing of itself.
  for (const std::string& bad :
       {"https://user:" + password + "@p:1", "socks5://user:" + password + "@p:1", "http://user:" + password + "@p:0",
        "http://user:" + password + "@p:1/path", "http://user:" + password + "@", "http://user:" + password,
        "http://user:" + password + "%0d%0aX: y@p:1", "user:" + password + "@p q"}) {
    const std::string said = config_error_of([&] {
      choose_proxy(parse_url("https://trainer.test"), "", reading({{"HTTPS_PROXY", bad}}));
    });
    BOOST_TEST(contains(said, "HTTPS_PROXY"), said);
    BOOST_TEST(!contains(said, "canary"), said);
    BOOST_TEST(!contains(said, "user:"), said);
  }
}

BOOST_AUTO_TEST_SUITE_END()
