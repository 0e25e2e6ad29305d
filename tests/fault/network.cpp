// SPDX-License-Identifier: Apache-2.0
// Rows N, H and B of the table of faults that need more than one line: names, addresses, descriptors, sizes, seeds.
#include <csignal>
#include <future>
#include <thread>

#include <dlfcn.h>
#include <netdb.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <atomic>

#include "scene.hpp"

using namespace faults;
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

std::atomic<std::promise<void>*> release_of_a_lookup{nullptr};  // while it is set, a lookup of "hangs.test" waits for it

}  // namespace

// The name service as the tests need it: the real one but for three names.
extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints, addrinfo** found) {
  static const auto real = reinterpret_cast<int (*)(const char*, const char*, const addrinfo*, addrinfo**)>(
      ::dlsym(RTLD_NEXT, "getaddrinfo"));
  const std::string_view asked = name ? name : "";
  if (asked == "no-such.invalid") return EAI_NONAME;
  if (asked == "hangs.test") {
    if (auto* const until = release_of_a_lookup.load()) until->get_future().wait();
    return EAI_AGAIN;
  }
  if (asked != "two.test") return real(name, service, hints, found);
  addrinfo* second = nullptr;  // the first is dead
  if (const int failed = real("127.0.0.2", service, hints, found)) return failed;
  if (const int failed = real("127.0.0.1", service, hints, &second)) return failed;
  (*found)->ai_next = second;
  return 0;
}

namespace {

std::shared_ptr<const http_peer> peer_at(const std::string& address, double connect_seconds = 5) {
  auto made = std::make_shared<http_peer>();
  made->address = parse_url(address);
  made->connect_timeout_seconds = connect_seconds;
  return made;
}

struct timed {
  http_outcome outcome;
  double seconds = 0;
};

timed exchange(network& net, const std::shared_ptr<const http_peer>& to, std::string body, double limit = 2) {
  std::promise<http_outcome> arrived;
  auto outcome = arrived.get_future();
  const auto begun = std::chrono::steady_clock::now();
  net.send(
      {to, std::make_shared<const http_request>(http_request{.target = "/api/v1/healthz", .body = std::move(body)}),
       net.now() + in_seconds(limit)},
      [&](http_outcome o) { arrived.set_value(std::move(o)); });
  auto got = outcome.get();
  return {std::move(got), std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count()};
}

http_failure failure_of(timed t) {
  if (auto* reply = std::get_if<http_response>(&t.outcome)) BOOST_FAIL("answered " << reply->status);
  return std::get<http_failure>(std::move(t.outcome));
}

connect_options no_key(connect_options o) {
  o.dialect = "gradwire";
  return o;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(network_)

FAULT_CASE(N01_a_name_that_nobody_knows) {
  const auto v = verdict_of([] {
    auto service = service_client::connect(endpoint{"http://no-such.invalid:8000", ""}, no_key(impatient()));
    service.create_training_client({.base_model = "x", .lora_rank = 2}).result();
  });
  must_be(v, errc::transport, {"no-such.invalid", "cannot be resolved"});
  BOOST_TEST(v.seconds < 2.25);
}

FAULT_CASE(N02_the_first_of_two_addresses_is_dead) {
  fault_proxy proxy(port_of(shared_server()), {});
  runtime net;
  const auto t = exchange(net, peer_at("http://two.test:" + std::to_string(proxy.port())), "");
  BOOST_REQUIRE(std::holds_alternative<http_response>(t.outcome));
  BOOST_TEST(t.seconds < 1);
}

FAULT_CASE(N03_a_lookup_that_hangs) {
  std::promise<void> release;
  release_of_a_lookup = &release;
  {
    runtime net;
    const auto begun = std::chrono::steady_clock::now();
    const auto failed = failure_of(exchange(net, peer_at("http://hangs.test:80", 0.2), ""));
    BOOST_TEST((failed.kind == errc::timeout));
    BOOST_TEST(!failed.executed);
    BOOST_TEST((std::chrono::steady_clock::now() - begun < 450ms));
  }  // does not wait for the lookup
  release.set_value();
  release_of_a_lookup = nullptr;
}

FAULT_CASE(N06_a_connection_that_is_never_accepted) {
  // A full backlog: the system drops what comes, as a firewall would.
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  BOOST_REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  BOOST_REQUIRE(::listen(listener, 0) == 0);
  socklen_t size = sizeof address;
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  std::vector<int> fill;
  for (int i = 0; i < 4; ++i) {
    fill.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    (void)::connect(fill.back(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
  runtime net;
  const auto t = exchange(net, peer_at("http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)), 0.3), "");
  BOOST_TEST(t.seconds < 0.55);
  const auto failed = failure_of(t);
  BOOST_TEST((failed.kind == errc::timeout));
  BOOST_TEST(!failed.executed);
  for (const int each : fill) ::close(each);
  ::close(listener);
}

FAULT_CASE(N10_a_large_body_that_is_cut_was_not_executed) {
  fault_proxy proxy(port_of(shared_server()), {{.what = fault::reset_mid_request}});
  runtime net;
  const auto failed = failure_of(exchange(net, peer_at(proxy.url()), std::string(5'000'000, 'x')));
  BOOST_TEST((failed.kind == errc::transport));
  BOOST_TEST(!failed.executed, failed.sentence);
}

FAULT_CASE(N17_a_peer_that_stops_reading) {
  fault_proxy proxy(port_of(shared_server()), {{.what = fault::stall, .where = place::not_reading}});
  runtime net;
  const auto t = exchange(net, peer_at(proxy.url()), std::string(30'000'000, 'x'), 0.4);
  BOOST_TEST(t.seconds < 0.65);
  const auto failed = failure_of(t);
  BOOST_TEST((failed.kind == errc::timeout));
  BOOST_TEST(!failed.executed, failed.sentence);
}

FAULT_CASE(N22_the_network_is_gone_for_a_minute) {
  // On a mock clock: the default policy, a poll and the deadline of a real run.
  operation_record record{.name = "optim_step", .target = "/o", .body = "{}", .seq_id = 1, .effect = effect::deduped};
  record.poll_target = "/r";
  operation machine(record, retry_policy{}, 3);
  time_point now{std::chrono::hours(100)};
  const time_point back = now + 60s;
  auto next = machine.begin(now);
  int sends = 1;
  next = machine.on_reply(now, {200, {{"Content-Type", "application/json"}}, R"({"request_id":"r"})"});
  while (next.what == operation_action::kind::send && now < back) {
    ++sends;
    next = machine.on_failure(now, {errc::transport, false, "network is unreachable"});
    BOOST_REQUIRE((next.what == operation_action::kind::wait));
    now = next.until;
    next = machine.on_timer(now);
  }
  BOOST_TEST(sends < 40);
  BOOST_REQUIRE((next.what == operation_action::kind::send));
  BOOST_TEST(next.is_poll);  // what was submitted is not submitted again
  next = machine.on_reply(now, {200, {{"Content-Type", "application/json"}}, "{}"});
  BOOST_REQUIRE((next.what == operation_action::kind::done));
  BOOST_TEST(machine.result().has_value());
}

FAULT_CASE(N23_no_descriptors_are_left) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return;  // the sanitizers need descriptors of their own
#endif
  auto how = impatient();
  how.connections.idle_submit_seconds = 0;  // each submit wants a connection of its own
  scene s({}, how);
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const int lowest = ::dup(0);
  ::close(lowest);
  const rlimit none{static_cast<rlim_t>(lowest), before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &none);
  auto stepped = s.trainer.optim_step({.learning_rate = 1e-3});
  std::this_thread::sleep_for(100ms);  // what is waited for is that nothing happens
  const bool early = stepped.ready();
  ::setrlimit(RLIMIT_NOFILE, &before);
  BOOST_TEST(!early);
  BOOST_TEST(stepped.result().metric("step") == 1);
  BOOST_TEST(s.steps() == 1);
}

FAULT_CASE(N24_no_signal_for_a_broken_pipe) {
  static std::atomic<int> signals{0};
  const auto before = std::signal(SIGPIPE, [](int) { ++signals; });
  fault_proxy proxy(port_of(shared_server()), {{.what = fault::reset_mid_request}});
  runtime net;
  for (int i = 0; i < 5; ++i) failure_of(exchange(net, peer_at(proxy.url()), std::string(5'000'000, 'x')));
  std::signal(SIGPIPE, before);
  BOOST_TEST(signals == 0);
}

FAULT_CASE(H21_a_redirect_to_another_host_sees_nothing) {
  fault_proxy elsewhere(port_of(shared_server()), {});
  for (const char* host : {"http://localhost:", "http://127.0.0.1:", "https://127.0.0.1:"}) {
    scene s({{.what = fault::respond,
              .path = "/optim_step",
              .deliver = false,
              .status = 307,
              .headers = {{"Location", host + std::to_string(elsewhere.port()) + "/api/v1/optim_step"}}}});
    must_be(verdict_of([&] { s.trainer.optim_step().result(); }), errc::protocol, {"redirect"});
    BOOST_TEST(s.steps() == 0);
  }
  BOOST_TEST(elsewhere.connections() == 0);
}

FAULT_CASE(B07_one_byte_of_an_answer_is_another) {
  const unsigned seeds = is_long_run() ? 1000 : 60;
  int fine = 0, told = 0;
  for (unsigned seed = 0; seed < seeds; ++seed) {
    fault_proxy proxy(port_of(shared_server()), {}, seed);
    auto how = impatient();
    how.operation_timeout_seconds = 0.7;
    auto service = service_client::connect(endpoint{proxy.url(), std::string(canary)}, how);
    auto trainer = service.create_training_client({.base_model = shared_server().model(), .lora_rank = 2}).result();
    proxy.set({{.id = "bent" + std::to_string(seed), .what = fault::corrupt, .nth = {1 + int(seed % 2)}, .bytes = 1}});
    const auto v = verdict_of([&] { trainer.optim_step({.learning_rate = 1e-3}).result(); });
    if (!v.kind) {
      ++fine;
    } else {
      ++told;
      BOOST_TEST((*v.kind == errc::decode || *v.kind == errc::data || *v.kind == errc::outcome_unknown ||
                  *v.kind == errc::status || *v.kind == errc::protocol || *v.kind == errc::timeout),
                 seed << ": " << show(v));
    }
  }
  BOOST_TEST(fine + told == int(seeds));
  BOOST_TEST(fine > 0);
}

BOOST_AUTO_TEST_SUITE_END()
