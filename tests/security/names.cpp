// SPDX-License-Identifier: Apache-2.0
// What a name service may answer. The transport's own parts are used here, so that the test can be the name service;
// this is the folder's only file that includes Beast.
#include <gradwire/transport/impl/http_client.hpp>

#include "support.hpp"

using namespace security;
using detail::tcp;

namespace {

tcp::endpoint at(const char* address, std::uint16_t port) { return {detail::asio::ip::make_address(address), port}; }

http_outcome ask(const std::string& address, const std::string& key, detail::address_lookup lookup,
                 double connect_seconds = 2) {
  detail::asio::io_context io;
  detail::http_client client(io, {});
  client.resolve = std::move(lookup);
  http_peer to = peer_at(address, key);
  to.connect_timeout_seconds = connect_seconds;
  http_outcome outcome = http_failure{errc::closed, false, "nobody was told"};
  client.send({std::make_shared<const http_peer>(std::move(to)),
               std::make_shared<const http_request>(http_request{.target = "/x"}),
               std::chrono::steady_clock::now() + std::chrono::seconds(5), 1 << 20, traffic::submit},
              [&](http_outcome result) { outcome = std::move(result); });
  io.run();
  client.close();
  return outcome;
}

detail::address_lookup saying(std::vector<tcp::endpoint> addresses, detail::error_code failed = {}) {
  return [=](const std::string&, std::uint16_t, detail::found_addresses then) -> std::function<void()> {
    then(failed, addresses);
    return [] {};
  };
}

struct answering {
  heard requests;
  listener server{[this](int it) {
    requests.add(read_request(it));
    write_all(it, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
  }};
};

}  // namespace

BOOST_AUTO_TEST_SUITE(names)

SECURITY_TEST(T08, localhost_is_this_machine_only_when_it_leads_here) {
  answering here;
  const std::string address = "http://" + here.server.at("localhost"), key = canary("localhost");
  BOOST_TEST(is_answered(ask(address, key, saying({at("127.0.0.1", here.server.port())}))));
  BOOST_TEST(is_answered(ask(address, key, saying({at("::ffff:127.0.0.1", here.server.port())}))));
  for (const char* elsewhere : {"203.0.113.1", "10.0.0.1", "2001:db8::1", "::ffff:203.0.113.1"})
    failure_of(ask(address, key, saying({at(elsewhere, 80), at("127.0.0.1", here.server.port())})), errc::config,
               "the name localhost leads to another machine");
  BOOST_TEST(here.server.connections == 2);
}

BOOST_AUTO_TEST_CASE(the_next_address_is_tried_within_the_same_time) {
  answering here;
  std::uint16_t dead = 0;
  {
    listener gone([](int) {});
    dead = gone.port();
  }
  const auto both = saying({at("127.0.0.1", dead), at("127.0.0.1", here.server.port())});
  BOOST_TEST(is_answered(ask("http://trainer.test", "", both)));
  failure_of(ask("http://trainer.test", "", saying({at("127.0.0.1", dead), at("127.0.0.1", dead)})), errc::transport,
             "connecting to trainer.test");
}

BOOST_AUTO_TEST_CASE(a_name_service_that_fails_or_never_answers) {
  failure_of(ask("http://trainer.test", "", saying({}, detail::asio::error::host_not_found)), errc::transport,
             "the name trainer.test cannot be resolved");
  failure_of(ask("http://trainer.test", "", saying({})), errc::transport, "it has no address");
  bool stopped = false;
  const auto silent = [&](const std::string&, std::uint16_t, detail::found_addresses) -> std::function<void()> {
    return [&] { stopped = true; };
  };
  failure_of(ask("http://trainer.test", "", silent, 0.1), errc::timeout, "took too long");
  BOOST_TEST(stopped);
}

BOOST_AUTO_TEST_SUITE_END()
