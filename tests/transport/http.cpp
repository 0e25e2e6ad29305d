// SPDX-License-Identifier: Apache-2.0
// The HTTP client against its own server and against servers that answer byte by byte what a test tells them; and TLS
// with certificates that are made here.
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <boost/test/unit_test.hpp>

#include <gradwire/transport/http_server.hpp>
#include <gradwire/transport/runtime.hpp>

#include "../support/temporary_folder.hpp"

using namespace gradwire;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

std::shared_ptr<const http_peer> peer_at(const std::string& address, std::string key = "", std::string ca_file = "") {
  auto made = std::make_shared<http_peer>();
  made->address = parse_url(address);
  made->key = secret(std::move(key));
  made->ca_file = std::move(ca_file);
  made->connect_timeout_seconds = 2;
  return made;
}

struct exchange_options {
  double seconds = 5;
  std::size_t limit = 1 << 20;
  traffic kind = traffic::submit;
};

http_outcome exchange(network& net, const std::shared_ptr<const http_peer>& to, http_request request,
                      exchange_options o = {}) {
  std::promise<http_outcome> arrived;
  auto outcome = arrived.get_future();
  net.send({to, std::make_shared<const http_request>(std::move(request)), net.now() + in_seconds(o.seconds), o.limit,
            o.kind},
           [&](http_outcome result) { arrived.set_value(std::move(result)); });
  return outcome.get();
}

http_response must_answer(http_outcome outcome) {
  if (auto* failed = std::get_if<http_failure>(&outcome)) BOOST_FAIL("failed: " << failed->sentence);
  return std::get<http_response>(std::move(outcome));
}

http_failure must_fail(http_outcome outcome, errc kind, const char* part = "") {
  if (auto* reply = std::get_if<http_response>(&outcome))
    BOOST_FAIL("answered " << reply->status << " " << reply->body);
  auto failed = std::get<http_failure>(std::move(outcome));
  BOOST_TEST(to_string(failed.kind) == to_string(kind), failed.sentence);
  BOOST_TEST(failed.sentence.find(part) != std::string::npos, failed.sentence << " lacks " << part);
  return failed;
}

// Accepts connections one after another and lets `serve` do with each what it wants.
class raw_server {
 public:
  explicit raw_server(std::function<void(tcp::socket&)> serve) : acceptor_(io_, {asio::ip::address_v4::loopback(), 0}) {
    thread_ = std::thread([this, serve] {
      for (;;) {
        boost::system::error_code failed;
        tcp::socket socket(io_);
        acceptor_.accept(socket, failed);
        if (failed || stopping_) return;
        ++connections;
        try {
          serve(socket);
        } catch (const std::exception&) {
        }
      }
    });
  }
  ~raw_server() {
    stopping_ = true;
    boost::system::error_code ignored;
    tcp::socket wake(io_);
    wake.connect(acceptor_.local_endpoint(), ignored);
    thread_.join();
  }
  std::string address() const { return "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()); }
  std::atomic<int> connections{0};

 private:
  asio::io_context io_;
  tcp::acceptor acceptor_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

std::string read_request(tcp::socket& socket) {
  asio::streambuf buffer;
  asio::read_until(socket, buffer, "\r\n\r\n");
  return {asio::buffers_begin(buffer.data()), asio::buffers_end(buffer.data())};
}

std::function<void(tcp::socket&)> answering(std::string bytes) {
  return [bytes](tcp::socket& socket) {
    read_request(socket);
    asio::write(socket, asio::buffer(bytes));
    std::this_thread::sleep_for(20ms);
  };
}

http_failure against(const std::string& bytes, errc kind, const char* part = "", exchange_options o = {.seconds = 1}) {
  raw_server server(answering(bytes));
  runtime net;
  return must_fail(exchange(net, peer_at(server.address()), {.target = "/x"}, o), kind, part);
}

http_response from(const std::string& bytes) {
  raw_server server(answering(bytes));
  runtime net;
  return must_answer(exchange(net, peer_at(server.address()), {.target = "/x"}));
}

// ---- certificates ----

struct key_deleter {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using key_pointer = std::unique_ptr<EVP_PKEY, key_deleter>;

struct certificate {
  std::string key_file, certificate_file;
};

certificate make_certificate(const std::filesystem::path& folder, const std::string& name,
                             const std::string& alternative, int valid_from_days, int valid_for_days) {
  key_pointer key(EVP_EC_gen("P-256"));
  X509* x = X509_new();
  X509_set_version(x, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
  X509_gmtime_adj(X509_getm_notBefore(x), 86400L * valid_from_days);
  X509_gmtime_adj(X509_getm_notAfter(x), 86400L * (valid_from_days + valid_for_days));
  X509_set_pubkey(x, key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(x, X509_get_subject_name(x));
  if (!alternative.empty()) {
    X509_EXTENSION* names = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, alternative.c_str());
    X509_add_ext(x, names, -1);
    X509_EXTENSION_free(names);
  }
  X509_sign(x, key.get(), EVP_sha256());
  certificate made{folder / (name + ".key"), folder / (name + ".pem")};
  FILE* out = std::fopen(made.key_file.c_str(), "w");
  PEM_write_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(out);
  out = std::fopen(made.certificate_file.c_str(), "w");
  PEM_write_X509(out, x);
  std::fclose(out);
  X509_free(x);
  return made;
}

// An HTTPS server that answers 200 and notes the name that the client asked for.
class tls_server {
 public:
  tls_server(const certificate& shown, long max_version = 0, bool cut = false)
      : acceptor_(io_, {asio::ip::address_v4::loopback(), 0}) {
    context_.use_certificate_chain_file(shown.certificate_file);
    context_.use_private_key_file(shown.key_file, asio::ssl::context::pem);
    if (max_version) {
      SSL_CTX_set_security_level(context_.native_handle(), 0);
      SSL_CTX_set_min_proto_version(context_.native_handle(), TLS1_VERSION);
      SSL_CTX_set_max_proto_version(context_.native_handle(), static_cast<int>(max_version));
    }
    thread_ = std::thread([this, cut] {
      for (;;) {
        boost::system::error_code failed;
        tcp::socket socket(io_);
        acceptor_.accept(socket, failed);
        if (failed || stopping_) return;
        asio::ssl::stream<tcp::socket> stream(std::move(socket), context_);
        stream.handshake(asio::ssl::stream_base::server, failed);
        if (failed) continue;
        const char* name = SSL_get_servername(stream.native_handle(), TLSEXT_NAMETYPE_host_name);
        {
          std::lock_guard lock(mutex_);
          server_name_ = name ? name : "";
        }
        asio::streambuf buffer;
        asio::read_until(stream, buffer, "\r\n\r\n", failed);
        if (failed) continue;
        ++requests;
        const std::string reply = cut ? "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
                                      : "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        asio::write(stream, asio::buffer(reply), failed);
        stream.next_layer().close(failed);  // without close_notify
      }
    });
  }
  ~tls_server() {
    stopping_ = true;
    boost::system::error_code ignored;
    tcp::socket wake(io_);
    wake.connect(acceptor_.local_endpoint(), ignored);
    thread_.join();
  }
  std::string at(const std::string& host) const {
    return "https://" + host + ":" + std::to_string(acceptor_.local_endpoint().port());
  }
  std::string server_name() {
    std::lock_guard lock(mutex_);
    return server_name_;
  }
  std::atomic<int> requests{0};

 private:
  asio::io_context io_;
  asio::ssl::context context_{asio::ssl::context::tls_server};
  tcp::acceptor acceptor_;
  std::mutex mutex_;
  std::string server_name_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(http_)

BOOST_AUTO_TEST_CASE(requests_and_replies_cross_unchanged) {
  http_server server({}, [](http_request r, http_server::responder respond) {
    http_response reply{
        201,
        {{"Content-Type", "text/x"}, {"X-Method", r.method}, {"X-Key", std::string(r.header("x-api-key"))}},
        r.target + "|" + r.body};
    respond(std::move(reply));
  });
  runtime net;
  const auto peer = peer_at("http://127.0.0.1:" + std::to_string(server.port()), "tml-key");
  std::string binary("a\0b\xff", 4);
  const auto reply = must_answer(
      exchange(net, peer, {.target = "/a/b?c=d", .headers = {{"Content-Type", "application/x"}}, .body = binary}));
  BOOST_TEST(reply.status == 201);
  BOOST_TEST(reply.body == "/a/b?c=d|" + binary);
  BOOST_TEST(reply.header("x-method") == "POST");
  BOOST_TEST(reply.header("X-KEY") == "tml-key");
  BOOST_TEST(must_answer(exchange(net, peer, {.method = "GET", .target = "/g"})).header("X-Method") == "GET");
  BOOST_TEST(must_answer(exchange(net, peer, {.method = "DELETE", .target = "/g"})).header("X-Method") == "DELETE");
}

BOOST_AUTO_TEST_CASE(connections_are_kept_and_reused) {
  std::mutex mutex;
  std::vector<std::thread::id> seen;
  std::atomic<int> served{0};
  raw_server server([&](tcp::socket& socket) {
    for (;;) {
      read_request(socket);
      ++served;
      asio::write(socket, asio::buffer(std::string("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")));
    }
  });
  {
    runtime net;
    const auto peer = peer_at(server.address());
    for (int i = 0; i < 10; ++i) must_answer(exchange(net, peer, {.target = "/x"}));
  }
  BOOST_TEST(served == 10);
  BOOST_TEST(server.connections == 1);
}

BOOST_AUTO_TEST_CASE(a_connection_that_the_server_closed_while_idle_is_not_used) {
  raw_server server([](tcp::socket& socket) {
    read_request(socket);
    asio::write(socket, asio::buffer(std::string("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")));
  });  // closes after each reply, without saying so
  runtime net;
  const auto peer = peer_at(server.address());
  for (int i = 0; i < 5; ++i) {
    must_answer(exchange(net, peer, {.target = "/x"}));
    std::this_thread::sleep_for(20ms);
  }
  BOOST_TEST(server.connections == 5);
}

BOOST_AUTO_TEST_CASE(big_bodies_both_ways) {
  http_server server({}, [](http_request r, http_server::responder respond) { respond({200, {}, std::move(r.body)}); });
  runtime net;
  std::string big(20'000'000, '\0');
  for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * 2654435761u >> 24);
  const auto reply = must_answer(exchange(net, peer_at("http://127.0.0.1:" + std::to_string(server.port())),
                                          {.target = "/x", .body = big}, {.seconds = 20, .limit = 32u << 20}));
  BOOST_TEST((reply.body == big));
}

BOOST_AUTO_TEST_CASE(many_exchanges_at_once_all_arrive) {
  http_server server({}, [](http_request r, http_server::responder respond) { respond({200, {}, r.body}); });
  runtime net;
  const auto peer = peer_at("http://127.0.0.1:" + std::to_string(server.port()));
  std::atomic<int> right{0}, arrived{0};
  for (int i = 0; i < 500; ++i) {
    auto request = std::make_shared<http_request>();
    request->target = "/x";
    request->body = std::to_string(i);
    net.send({peer, request, net.now() + 20s, 1 << 20, i % 2 ? traffic::poll : traffic::submit},
             [&, i](http_outcome outcome) {
               auto* reply = std::get_if<http_response>(&outcome);
               right += reply && reply->body == std::to_string(i);
               ++arrived;
             });
  }
  for (int i = 0; i < 2000 && arrived < 500; ++i) std::this_thread::sleep_for(5ms);
  BOOST_TEST(right == 500);
}

BOOST_AUTO_TEST_CASE(a_long_poll_does_not_hold_up_a_heartbeat) {
  std::mutex mutex;
  std::vector<http_server::responder> held;
  http_server server({}, [&](http_request r, http_server::responder respond) {
    if (r.target == "/now") return respond({200, {}, "now"});
    std::lock_guard lock(mutex);
    held.push_back(std::move(respond));
  });
  {
    runtime net({.max_polls = 2});
    const auto peer = peer_at("http://127.0.0.1:" + std::to_string(server.port()));
    std::atomic<int> polls{0};
    for (int i = 0; i < 10; ++i) {
      net.send({peer, std::make_shared<const http_request>(http_request{.target = "/hold"}), net.now() + 20s, 1 << 20,
                traffic::poll},
               [&](http_outcome) { ++polls; });
    }
    BOOST_TEST(must_answer(exchange(net, peer, {.target = "/now"}, {.kind = traffic::control})).body == "now");
    BOOST_TEST(must_answer(exchange(net, peer, {.target = "/now"}, {.kind = traffic::submit})).body == "now");
    BOOST_TEST(polls == 0);
  }  // ends the ten as closed
  std::lock_guard lock(mutex);
  BOOST_TEST(held.size() <= 2u);
}

BOOST_AUTO_TEST_CASE(failures_before_the_server_can_have_got_it) {
  runtime net;
  const auto refused =
      must_fail(exchange(net, peer_at("http://127.0.0.1:9"), {.target = "/x"}), errc::transport, "refused");
  BOOST_TEST(!refused.executed);
  const auto unknown = must_fail(exchange(net, peer_at("http://no-such-host.invalid"), {.target = "/x"}),
                                 errc::transport, "no-such-host.invalid");
  BOOST_TEST(!unknown.executed);
  // a key over plain http to another machine, headers and paths that would be two
  must_fail(exchange(net, peer_at("http://192.0.2.1", "tml-key"), {.target = "/x"}), errc::config, "https");
  must_fail(exchange(net, peer_at("http://127.0.0.1:9"), {.target = "/x\r\nEvil: 1"}), errc::config);
  must_fail(exchange(net, peer_at("http://127.0.0.1:9"), {.target = "/x", .headers = {{"A", "b\r\nEvil: 1"}}}),
            errc::config);
  must_fail(exchange(net, peer_at("http://127.0.0.1:9"), {.target = "no-slash"}), errc::config);
}

BOOST_AUTO_TEST_CASE(failures_after_which_it_may_have_been_executed) {
  raw_server closes([](tcp::socket& socket) { read_request(socket); });
  runtime net;
  BOOST_TEST(must_fail(exchange(net, peer_at(closes.address()), {.target = "/x"}), errc::transport, "closed").executed);
  raw_server resets([](tcp::socket& socket) {
    read_request(socket);
    socket.set_option(asio::socket_base::linger(true, 0));
  });
  BOOST_TEST(must_fail(exchange(net, peer_at(resets.address()), {.target = "/x"}), errc::transport).executed);
  raw_server silent([](tcp::socket& socket) {
    read_request(socket);
    std::this_thread::sleep_for(500ms);
  });
  const auto begun = std::chrono::steady_clock::now();
  BOOST_TEST(
      must_fail(exchange(net, peer_at(silent.address()), {.target = "/x"}, {.seconds = 0.2}), errc::timeout).executed);
  BOOST_TEST((std::chrono::steady_clock::now() - begun < 450ms));
}

BOOST_AUTO_TEST_CASE(the_deadline_is_for_the_whole_exchange) {
  raw_server slow([](tcp::socket& socket) {  // one byte each 20 ms: never silent, never done
    read_request(socket);
    const std::string reply = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + std::string(1000, 'x');
    for (char c : reply) {
      asio::write(socket, asio::buffer(&c, 1));
      std::this_thread::sleep_for(20ms);
    }
  });
  runtime net;
  const auto begun = std::chrono::steady_clock::now();
  must_fail(exchange(net, peer_at(slow.address()), {.target = "/x"}, {.seconds = 0.3}), errc::timeout);
  BOOST_TEST((std::chrono::steady_clock::now() - begun < 550ms));
}

BOOST_AUTO_TEST_CASE(a_refusal_of_a_large_body_is_read_although_the_body_was_not) {
  http_server server({.body_limit = 1000}, [](http_request, http_server::responder respond) {
    respond({200, {}, "?"});
  });
  runtime net;
  const auto reply = must_answer(exchange(net, peer_at("http://127.0.0.1:" + std::to_string(server.port())),
                                          {.target = "/x", .body = std::string(30'000'000, 'x')}));
  BOOST_TEST(reply.status == 413);
}

BOOST_AUTO_TEST_CASE(replies_that_are_not_what_they_should_be) {
  against("HTTP/1.1 200 OK\r\n\r\nno length", errc::protocol, "length");
  against("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", errc::transport, "before the answer was complete");
  against("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", errc::transport,
          "before the answer was complete");
  against("SSH-2.0-OpenSSH_9.2\r\n\r\n", errc::protocol, "not HTTP");
  against("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", errc::protocol);
  against("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", errc::protocol, "compressed");
  against("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + std::string(5000, 'x'), errc::protocol, "limit",
          {.seconds = 1, .limit = 1000});
  against("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n" + std::string(5000, 'x') + "\r\n0\r\n\r\n",
          errc::protocol, "limit", {.seconds = 1, .limit = 1000});
  against("HTTP/1.1 200 OK\r\nX: " + std::string(100000, 'x') + "\r\n\r\n", errc::protocol);
}

BOOST_AUTO_TEST_CASE(replies_of_every_form) {
  BOOST_TEST(from("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").body ==
             "abcde");
  BOOST_TEST(from("HTTP/1.1 204 No Content\r\n\r\n").status == 204);
  BOOST_TEST(from("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").body.empty());
  BOOST_TEST(from("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na").body ==
             "a");
  BOOST_TEST(from("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na").body == "a");
  const auto redirect =
      from("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n");
  BOOST_TEST(redirect.status == 307);  // shown, not followed
  BOOST_TEST(redirect.header("location") == "http://elsewhere/");
  const auto page = from("HTTP/1.1 503 Busy\r\nContent-Length: 200000\r\n\r\n" + std::string(200000, '<'));
  BOOST_TEST(page.status == 503);
  BOOST_TEST(page.body.size() == 64u * 1024);  // of an error page enough is enough
}

BOOST_AUTO_TEST_CASE(a_key_that_the_server_echoes_is_taken_out) {
  raw_server server(
      answering("HTTP/1.1 401 Unauthorized\r\nContent-Length: 34\r\n\r\nthe key tml-canary-1 is not known!"));
  runtime net;
  const auto reply = must_answer(exchange(net, peer_at(server.address(), "tml-canary-1"), {.target = "/x"}));
  BOOST_TEST(reply.body == "the key (key) is not known!");
}

BOOST_AUTO_TEST_CASE(a_users_own_header_is_sent_and_is_no_secret) {
  std::string seen;
  http_server server({}, [&](http_request request, http_server::responder respond) {
    seen = std::string(request.header("X-Team")) + "|" + std::string(request.header("Content-Type"));
    respond({200, {}, "7 of 70 for post training"});
  });
  http_peer to = *peer_at("http://127.0.0.1:" + std::to_string(server.port()), "tml-a-key-of-20-letters");
  to.open_headers = {{"X-Team", "post training"}, {"X-Shard", "7"}, {"Content-Type", "text/own"}};
  runtime net;
  const auto peer = std::make_shared<const http_peer>(std::move(to));
  const auto reply = must_answer(exchange(
      net, peer, {.method = "POST", .target = "/x", .headers = {{"Content-Type", "application/json"}}, .body = "{}"}));
  BOOST_TEST(reply.body == "7 of 70 for post training");
  BOOST_TEST(seen == "post training|application/json");
}

BOOST_AUTO_TEST_CASE(a_server_refuses_what_browsers_and_smugglers_send) {
  http_server server({}, [](http_request, http_server::responder respond) { respond({200, {}, "in"}); });
  asio::io_context io;
  const auto say = [&](const std::string& bytes) {
    tcp::socket socket(io);
    socket.connect({asio::ip::address_v4::loopback(), server.port()});
    asio::write(socket, asio::buffer(bytes));
    boost::system::error_code done;
    asio::streambuf buffer;
    asio::read_until(socket, buffer, "\r\n", done);
    std::string line(asio::buffers_begin(buffer.data()), asio::buffers_end(buffer.data()));
    return line.substr(0, 12);
  };
  const std::string good = "Host: 127.0.0.1\r\n";
  BOOST_TEST(say("GET / HTTP/1.1\r\n" + good + "\r\n") == "HTTP/1.1 200");
  BOOST_TEST(say("GET / HTTP/1.1\r\nHost: localhost:80\r\n\r\n") == "HTTP/1.1 200");
  BOOST_TEST(say("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n") == "HTTP/1.1 421");
  BOOST_TEST(say("GET / HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n") == "HTTP/1.1 421");
  BOOST_TEST(say("GET / HTTP/1.1\r\n\r\n") == "HTTP/1.1 400");
  BOOST_TEST(say("GET / HTTP/1.1\r\n" + good + good + "\r\n") == "HTTP/1.1 400");
  BOOST_TEST(say("GET / HTTP/1.1\r\n" + good + "Origin: http://evil.example\r\n\r\n") == "HTTP/1.1 403");
  BOOST_TEST(say("POST / HTTP/1.1\r\n" + good + "Transfer-Encoding: gzip\r\n\r\n") == "HTTP/1.1 400");
  BOOST_TEST(say("POST / HTTP/1.1\r\n" + good + "Transfer-Encoding: xchunked\r\n\r\n") == "HTTP/1.1 400");
  BOOST_TEST(say("POST / HTTP/1.1\r\n" + good + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n") ==
             "HTTP/1.1 400");
  BOOST_TEST(say("POST / HTTP/1.0\r\n" + good + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n") == "HTTP/1.1 400");
  BOOST_TEST(say("POST / HTTP/1.1\r\n" + good + "Content-Length: +3\r\n\r\nabc") == "HTTP/1.1 400");
  BOOST_TEST(say("\x16\x03\x01 what is this\r\n\r\n") == "HTTP/1.1 400");
  BOOST_TEST(say("GET / HTTP/1.1\r\n" + good + "X: " + std::string(20000, 'x') + "\r\n\r\n") == "HTTP/1.1 431");
}

BOOST_AUTO_TEST_CASE(handlers_that_throw_or_forget_are_answered_for) {
  http_server server({}, [](http_request r, http_server::responder respond) {
    if (r.target == "/throw") throw std::runtime_error("inside");
    if (r.target == "/forget") return;
    respond({200, {}, "once"});
    respond({200, {}, "twice"});
  });
  runtime net;
  const auto peer = peer_at("http://127.0.0.1:" + std::to_string(server.port()));
  BOOST_TEST(must_answer(exchange(net, peer, {.target = "/throw"})).status == 500);
  BOOST_TEST(must_answer(exchange(net, peer, {.target = "/forget"})).status == 500);
  BOOST_TEST(must_answer(exchange(net, peer, {.target = "/x"})).body == "once");
  BOOST_TEST(must_answer(exchange(net, peer, {.target = "/x"})).body == "once");
}

BOOST_AUTO_TEST_CASE(a_server_can_answer_later_from_another_thread_and_stop_with_answers_owed) {
  std::vector<http_server::responder> owed;
  std::mutex mutex;
  {
    http_server server({}, [&](http_request r, http_server::responder respond) {
      std::lock_guard lock(mutex);
      if (r.target == "/later")
        std::thread([respond] { std::this_thread::sleep_for(20ms), respond({200, {}, "later"}); }).detach();
      else
        owed.push_back(std::move(respond));
    });
    runtime net;
    const auto peer = peer_at("http://127.0.0.1:" + std::to_string(server.port()));
    BOOST_TEST(must_answer(exchange(net, peer, {.target = "/later"})).body == "later");
    must_fail(exchange(net, peer, {.target = "/never"}, {.seconds = 0.1}), errc::timeout);
  }
  for (auto& respond : owed) respond({200, {}, "too late"});  // the server is gone: nothing happens
}

BOOST_AUTO_TEST_CASE(tls_is_verified) {
  const temporary_folder folder;
  const auto good = make_certificate(folder.path, "localhost", "DNS:localhost", -1, 10);
  const auto other = make_certificate(folder.path, "other", "DNS:other.example", -1, 10);
  const auto expired = make_certificate(folder.path, "expired", "DNS:localhost", -10, 5);
  const auto early = make_certificate(folder.path, "early", "DNS:localhost", 5, 10);
  runtime net;
  {
    tls_server server(good);
    const auto reply =
        must_answer(exchange(net, peer_at(server.at("localhost"), "tml-key", good.certificate_file), {.target = "/x"}));
    BOOST_TEST(reply.body == "ok");
    BOOST_TEST(server.server_name() == "localhost");
    const auto unknown = must_fail(exchange(net, peer_at(server.at("localhost"), "tml-key"), {.target = "/x"}),
                                   errc::transport, "self-signed");
    BOOST_TEST(!unknown.executed);
    must_fail(exchange(net, peer_at(server.at("127.0.0.1"), "tml-key", good.certificate_file), {.target = "/x"}),
              errc::transport, "TLS");  // no IP in it
    BOOST_TEST(server.requests == 1);
  }
  {
    tls_server server(other);
    must_fail(exchange(net, peer_at(server.at("localhost"), "tml-key", other.certificate_file), {.target = "/x"}),
              errc::transport, "TLS");
    BOOST_TEST(server.requests == 0);
  }
  {
    tls_server server(expired);
    must_fail(exchange(net, peer_at(server.at("localhost"), "", expired.certificate_file), {.target = "/x"}),
              errc::transport, "expired");
  }
  {
    tls_server server(early);
    must_fail(exchange(net, peer_at(server.at("localhost"), "", early.certificate_file), {.target = "/x"}),
              errc::transport, "not yet valid");
  }
  {
    tls_server server(good, TLS1_1_VERSION);
    must_fail(exchange(net, peer_at(server.at("localhost"), "", good.certificate_file), {.target = "/x"}),
              errc::transport, "TLS");
    BOOST_TEST(server.requests == 0);
  }
  {
    tls_server server(good, 0, true);  // cut without close_notify: not a success
    must_fail(exchange(net, peer_at(server.at("localhost"), "", good.certificate_file), {.target = "/x"}),
              errc::transport, "before the answer was complete");
  }
}

BOOST_AUTO_TEST_CASE(closing_ends_what_runs) {
  http_server server({}, [](http_request, http_server::responder respond) {
    static std::vector<http_server::responder> kept;
    kept.push_back(respond);
  });
  std::atomic<int> closed{0};
  const auto begun = std::chrono::steady_clock::now();
  {
    runtime net;
    const auto peer = peer_at("http://127.0.0.1:" + std::to_string(server.port()));
    for (int i = 0; i < 100; ++i) {
      net.send({peer, std::make_shared<const http_request>(http_request{.target = "/x"}), net.now() + 20s, 1 << 20,
                traffic::submit},
               [&](http_outcome outcome) {
                 auto* failed = std::get_if<http_failure>(&outcome);
                 closed += failed && failed->kind == errc::closed;
               });
    }
    net.start_timer(net.now() + 10s, [] { BOOST_ERROR("a timer of a client that is gone"); });
  }
  BOOST_TEST(closed == 100);
  BOOST_TEST((std::chrono::steady_clock::now() - begun < 250ms));
}

BOOST_AUTO_TEST_CASE(timers_and_tasks) {
  runtime net;
  std::promise<std::vector<int>> order;
  auto seen = std::make_shared<std::vector<int>>();
  const auto now = net.now();
  net.start_timer(now + 30ms, [&, seen] {
    seen->push_back(3);
    order.set_value(*seen);
  });
  net.start_timer(now + 10ms, [seen] { seen->push_back(2); });
  net.cancel_timer(net.start_timer(now + 5ms, [seen] { seen->push_back(99); }));
  net.post([seen] { seen->push_back(1); });
  BOOST_TEST(order.get_future().get() == (std::vector<int>{1, 2, 3}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()
