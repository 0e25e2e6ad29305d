// SPDX-License-Identifier: Apache-2.0
// What the embedded trainer's server lets in: this machine, with the token, in bodies that are not too much.
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <zstd.h>

#include <chrono>
#include <fstream>

#include "../support/long_run.hpp"
#include "trainer.hpp"

using namespace security;

BOOST_AUTO_TEST_SUITE(server)

// The lines of /proc/net/tcp that listen on a port: local addresses in hexadecimal.
std::vector<std::string> listening(const char* file, std::uint16_t port) {
  std::vector<std::string> found;
  std::ifstream table(file);
  char wanted[8];
  std::snprintf(wanted, sizeof wanted, ":%04X", port);
  for (std::string line; std::getline(table, line);) {
    if (!contains(line, ": ")) continue;  // the heading
    const auto local = line.find(": ") + 2;
    const auto end = line.find(' ', local);
    if (line.substr(end - 5, 5) == wanted && contains(line.substr(end), " 0A "))
      found.push_back(line.substr(local, end - 5 - local));
  }
  return found;
}

SECURITY_TEST(K01, it_listens_on_this_machine_only) {
  const auto& it = shared();
  BOOST_TEST(it.server.endpoint().url == "http://127.0.0.1:" + std::to_string(it.port));
  BOOST_TEST(listening("/proc/net/tcp", it.port) == std::vector<std::string>{"0100007F"},
             boost::test_tools::per_element());
  BOOST_TEST(listening("/proc/net/tcp6", it.port).empty());
  const loopback::server six({.address = "::1", .threads = 1});
  const std::uint16_t port = parse_url(six.endpoint().url).port;
  BOOST_TEST(six.endpoint().url == "http://[::1]:" + std::to_string(port));
  BOOST_TEST(listening("/proc/net/tcp", port).empty());
  BOOST_TEST(listening("/proc/net/tcp6", port) == std::vector<std::string>{"00000000000000000000000001000000"},
             boost::test_tools::per_element());
}

SECURITY_TEST(K01, another_address_takes_an_option_and_a_token) {
  for (const char* address : {"0.0.0.0", "::", "10.0.0.1", "192.168.1.1"}) {
    const auto said =
        config_error_of([&] { loopback::server({.address = address, .token = canary("k01"), .threads = 1}); });
    BOOST_TEST(contains(said, "allow_other_machines"), said);
    BOOST_TEST(contains(
        config_error_of([&] { loopback::server({.address = address, .allow_other_machines = true, .threads = 1}); }),
        "token"));
  }
  for (const char* address : {"", "localhost", "127.0.0.1:8000", "nonsense"})
    BOOST_TEST(contains(config_error_of([&] { loopback::server({.address = address, .threads = 1}); }), "no address"));
}

answer with_host(const trainer& at, const std::string& host) {
  return at.say("GET /api/v1/healthz HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
}

SECURITY_TEST(K02, a_host_that_is_not_this_machine) {
  for (const char* own : {"127.0.0.1", "127.0.0.1:1", "localhost", "LocalHost:8000", "[::1]", "[::1]:80"})
    BOOST_TEST(with_host(shared(), own).status == 200, own);
  for (const char* other : {"evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example:8000",
                            "10.0.0.5", "127.0.0.2", "0.0.0.0", "[::2]", "[::1", "::1", "127.0.0.1:", "127.0.0.1:80x",
                            "127.0.0.1 x", "", "localhost.", "user@localhost", "localhost, evil.example"})
    BOOST_TEST(with_host(shared(), other).status == 421, other);
}

SECURITY_TEST(K02, names_that_other_machines_may_use) {
  const trainer open(
      {.allow_other_machines = true, .host_names = {"trainer.test"}, .token = canary("other-machines"), .threads = 1});
  for (const char* own : {"127.0.0.1", "trainer.test", "Trainer.Test:8000", "10.0.0.5:80", "[fd00::1]:80"})
    BOOST_TEST(with_host(open, own).status == 200, own);
  for (const char* other : {"evil.example", "trainer.test.evil.example", "10.0.0.5.evil.example", "[x]"})
    BOOST_TEST(with_host(open, other).status == 421, other);
}

SECURITY_TEST(K03, a_web_page_is_refused) {
  const auto& it = shared();
  for (const std::string& origin : {std::string("http://evil.example"), std::string("null"), std::string(),
                                    "http://127.0.0.1:" + std::to_string(it.port)}) {
    BOOST_TEST(it.ask("GET", "/api/v1/healthz", it.key() + "Origin: " + origin + "\r\n").status == 403, origin);
    BOOST_TEST(it.ask("OPTIONS", "/api/v1/optim_step", "oRiGiN: " + origin + "\r\n").status == 403, origin);
  }
  BOOST_TEST(!contains(it.get("get_server_capabilities").head, "Access-Control"));
}

SECURITY_TEST(K04, a_token_of_its_own_for_each_server) {
  const trainer one({.threads = 1}), two({.threads = 1});
  for (const trainer* it : {&one, &two}) {
    BOOST_TEST(it->token.size() == 36u);
    BOOST_TEST(it->token.starts_with("tml-"), "a token begins otherwise");
    BOOST_TEST(it->token.find_first_not_of("0123456789abcdef", 4) == std::string::npos, "a token has other characters");
  }
  BOOST_TEST((one.token != two.token));
}

SECURITY_TEST(K04, nothing_is_answered_without_the_token) {
  const auto& it = shared();
  for (const char* path : {"get_server_capabilities", "sessions", "checkpoints", "nothing", "", "debug/counters"}) {
    const auto missing = it.ask("GET", std::string("/api/v1/") + path, "");
    BOOST_TEST(missing.status == 401, path);
    BOOST_TEST(missing.body == R"({"detail":"Missing API key"})");
  }
  std::vector<std::string> wrong = {"x", it.token + "0", it.token.substr(1), it.token.substr(0, it.token.size() - 1),
                                    it.token + "," + it.token};
  for (std::size_t i = 0; i < it.token.size(); i += 5) {
    wrong.push_back(it.token);
    wrong.back()[i] = static_cast<char>(wrong.back()[i] ^ 1);
  }
  for (const std::string& key : wrong) {
    const auto reply = it.ask("GET", "/api/v1/get_server_capabilities", "X-API-Key: " + key + "\r\n");
    BOOST_TEST(reply.status == 403);
    BOOST_TEST(reply.body == R"({"detail":"Invalid API key"})");
  }
  BOOST_TEST(it.ask("GET", "/api/v1/get_server_capabilities", it.key()).status == 200);
  BOOST_TEST(it.ask("GET", "/api/v1/get_server_capabilities", "Authorization: Bearer " + it.token + "\r\n").status ==
             200);
  BOOST_TEST(it.ask("GET", "/api/v1/get_server_capabilities", "Authorization: Basic " + it.token + "\r\n").status ==
             401);
  BOOST_TEST(it.ask("GET", "/api/v1/healthz", "").body == R"({"status":"ok"})");
}

SECURITY_TEST(K04, a_body_without_the_token_is_not_even_read) {
  const auto& it = shared();
  const std::string head = "POST /api/v1/create_session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n";
  connection stranger(it.port);
  stranger.send(head + "\r\n");  // and no body
  BOOST_TEST(stranger.receive_all().status == 401);
  connection late(it.port);
  late.send(
      "POST /api/v1/create_session HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n" +
      it.key() + "\r\n");  // behind the body
  const auto reply = late.receive_all();
  BOOST_TEST(reply.status == 401);
  BOOST_TEST(reply.count == 1);
}

SECURITY_TEST(K07, a_head_has_ten_seconds_and_no_more) {
  BOOST_TEST(loopback::start_options{}.head_timeout_seconds == 10);
  const trainer it({.token = canary("k07"), .threads = 1, .head_timeout_seconds = 0.3});
  for (const bool drips : {false, true}) {
    const auto begun = std::chrono::steady_clock::now();
    connection slow(it.port);
    slow.send("GET /api/v1/healthz HTTP/1.1\r\nHost: localhost\r\nX: ");
    pollfd ended{slow.socket(), POLLIN, 0};
    while (::poll(&ended, 1, drips ? 20 : 9000) == 0 && drips) slow.send("x");  // a byte now and then does not help
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    BOOST_TEST(slow.receive_all().status == 0);
    BOOST_TEST(took >= 0.25);
    BOOST_TEST(took < 5);
  }
  BOOST_TEST(it.get("healthz").status == 200);
}

SECURITY_TEST(K07, connections_over_the_cap) {
  const trainer it({.token = canary("k07-cap"), .threads = 1, .max_connections = 4});
  std::vector<connection> idle;
  for (int i = 0; i < 4; ++i) {
    idle.emplace_back(it.port);
    idle.back().send("GET /api/v1/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    BOOST_TEST(idle.back().receive().status == 200);
  }
  const auto refused = connection(it.port).receive_all();
  BOOST_TEST(refused.status == 503);
  BOOST_TEST(refused.ended);
  idle.clear();
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  int status = 503;
  while (status != 200 && std::chrono::steady_clock::now() < until) status = it.get("healthz").status;
  BOOST_TEST(status == 200);
}

SECURITY_TEST(K07, ten_thousand_idle_connections) {
  if (!is_long_run()) return;
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  const rlimit before = files;
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  const std::size_t wanted = std::min<std::size_t>(10'000, files.rlim_cur - 2'500);
  {
    const trainer it({.token = canary("k07-many"), .threads = 1});
    std::vector<connection> idle;
    std::size_t refused = 0;
    for (std::size_t i = 0; i < wanted; ++i) {
      idle.emplace_back(it.port);
      if (i < 1024) continue;
      refused += idle.back().receive_all().status == 503;
    }
    BOOST_TEST(refused == wanted - 1024);
    idle.clear();
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    int status = 503;
    while (status != 200 && std::chrono::steady_clock::now() < until) status = it.get("healthz").status;
    BOOST_TEST(status == 200);
  }
  ::setrlimit(RLIMIT_NOFILE, &before);
}

SECURITY_TEST(K08, bodies_that_are_too_much) {
  const auto& it = shared();
  const std::string big(2 << 20, ' ');
  BOOST_TEST(it.post("create_session", big).status == 413);
  connection announced(it.port);
  announced.send("POST /api/v1/create_session HTTP/1.1\r\nHost: localhost\r\n" + it.key() +
                 "Content-Length: 100000000000\r\nExpect: 100-continue\r\n\r\n");
  const auto refused = announced.receive_all();
  BOOST_TEST(refused.status == 413);
  BOOST_TEST(refused.count == 1);  // no 100 Continue
  std::string chunks = "POST /api/v1/create_session HTTP/1.1\r\nHost: localhost\r\n" + it.key() + chunked + "\r\n";
  for (int i = 0; i < 20; ++i) chunks += "10000\r\n" + std::string(0x10000, ' ') + "\r\n";
  BOOST_TEST(it.say(chunks + "0\r\n\r\n").status == 413);
  for (const char* open : {"[", "{\"a\":"}) {
    std::string deep;
    for (int i = 0; i < 100'000; ++i) deep += open;
    const auto reply = it.post("create_session", deep.substr(0, 1'000'000));
    BOOST_TEST(reply.status == 422);
  }
}

std::string packed(const std::string& text) {
  std::string bytes(ZSTD_compressBound(text.size()), '\0');
  bytes.resize(ZSTD_compress(bytes.data(), bytes.size(), text.data(), text.size(), 3));
  return bytes;
}

SECURITY_TEST(K08, packed_bodies) {
  const auto& it = shared();
  const auto send = [&](const std::string& body, const char* encoding) {
    return it.ask("POST", "/api/v1/create_session", it.key() + "Content-Encoding: " + encoding + "\r\n", body).status;
  };
  const std::string bomb = packed(std::string(256 << 20, ' '));  // 256 MiB in a few KiB
  BOOST_TEST(bomb.size() < 100'000u);
  BOOST_TEST(send(bomb, "zstd") == 413);
  BOOST_TEST(send(packed(std::string(2 << 20, ' ')), "zstd") == 413);
  const std::string small = R"({"tags":[],"user_metadata":{},"sdk_version":"x"})";
  BOOST_TEST(send(packed(small), "zstd") == 200);
  BOOST_TEST(send(packed(small).substr(0, packed(small).size() - 3), "zstd") == 422);
  BOOST_TEST(send(packed(bomb), "zstd") == 422);  // packed twice
  BOOST_TEST(send(small, "zstd") == 422);
  BOOST_TEST(send("", "zstd") == 422);
  for (const char* other : {"gzip", "br", "zstd, gzip", "deflate"}) BOOST_TEST(send(small, other) == 415, other);
}

SECURITY_TEST(K09, methods_paths_and_types) {
  const auto& it = shared();
  const struct {
    const char* method;
    const char* path;
    const char* headers;
    int status;
  } rows[] = {
      {"GET", "/", "", 404},
      {"GET", "/api/v1", "", 404},
      {"GET", "/api/v1/", "", 404},
      {"GET", "//api/v1/healthz", "", 404},
      {"GET", "/api/v1/healthz/", "", 404},
      {"GET", "/API/V1/healthz", "", 404},
      {"GET", "/api/v1/nothing", "", 404},
      {"GET", "/api/v1/../v1/healthz", "", 404},
      {"GET", "/api/v1/optim_step", "", 405},
      {"PUT", "/api/v1/healthz", "", 405},
      {"TRACE", "/api/v1/healthz", "", 405},
      {"DELETE", "/api/v1/sessions", "", 405},
      {"post", "/api/v1/optim_step", "", 405},
      {"POST", "/api/v1/optim_step", "Content-Type: text/html\r\n", 415},
      {"POST", "/api/v1/optim_step", "Content-Type: text/plain\r\n", 415},  // what a web page may send unasked
      {"POST", "/api/v1/optim_step", "Content-Type: application/x-www-form-urlencoded\r\n", 415},
      {"POST", "/api/v1/optim_step", "Content-Type: multipart/form-data\r\n", 415},
      {"POST", "/api/v1/optim_step", "", 422},
      {"GET", "/api/v1/debug/counters", "", 404},  // only with the option
      {"GET", "/api/v1/sessions/none", "", 404},
      {"GET", "/api/v1/samplers/none", "", 404},
      {"GET", "/api/v1/training_runs/..%2f../checkpoints", "", 404},
      {"GET", "/api/v1/downloads/none/x.tar", "", 404},
  };
  for (const auto& row : rows) {
    const auto reply = it.ask(row.method, row.path, it.key() + row.headers, "{}");
    BOOST_TEST(reply.status == row.status, row.method << " " << row.path << " " << row.headers << ": " << reply.status);
    BOOST_TEST(contains(reply.body, R"({"detail":)"), row.method << " " << row.path << ": " << reply.body);
    BOOST_TEST(contains(reply.head, "Content-Type: application/json"), row.path);
  }
}

SECURITY_TEST(K09, bodies_that_are_not_what_they_say) {
  const auto& it = shared();
  const auto json = it.post("optim_step", "{\"model_id\":");
  BOOST_TEST(json.status == 422);
  BOOST_TEST(contains(json.body, "not valid JSON"));
  const auto fields = it.post("optim_step", R"({"model_id":7})");
  BOOST_TEST(
      contains(fields.body, R"({"type":"missing","loc":["body","adam_params"],"msg":"Field required","input":null})"),
      fields.body);
  BOOST_TEST(contains(fields.body, R"("loc":["body","model_id"])"));
  for (const std::string bytes : {"\xff\xff", "\x0a\x7f", "x"}) {
    const auto reply =
        it.ask("POST", "/api/v1/forward_backward", it.key() + "Content-Type: application/x-protobuf\r\n", bytes);
    BOOST_TEST(reply.status == 422);
    BOOST_TEST(contains(reply.body, "malformed protobuf"), reply.body);
  }
}

BOOST_AUTO_TEST_CASE(options_that_cannot_be_used) {
  const auto kind = [](loopback::start_options options) {
    try {
      loopback::server server(std::move(options));
    } catch (const error& e) {
      BOOST_TEST(!contains(e.what(), "canary"), e.what());
      return e.kind();
    }
    BOOST_ERROR("started");
    return errc::closed;
  };
  BOOST_TEST((kind({.token = canary("a\r\nb")}) == errc::config));
  BOOST_TEST((kind({.token = canary("a b")}) == errc::config));
  BOOST_TEST((kind({.model = "nobody/nothing"}) == errc::config));
  BOOST_TEST((kind({.port = shared().port}) == errc::transport));
  BOOST_TEST((kind({.checkpoints = "/proc/none"}) == errc::config));
}

BOOST_AUTO_TEST_CASE(a_temporary_folder_goes_with_its_server) {
  std::filesystem::path folder;
  {
    loopback::server server({.threads = 1});
    folder = server.checkpoints();
    struct ::stat info {};
    BOOST_TEST(::stat(folder.c_str(), &info) == 0);
    BOOST_TEST((info.st_mode & 0777) == 0700u);
    loopback::server moved = std::move(server);
    BOOST_TEST((moved.checkpoints() == folder));
  }
  BOOST_TEST(!std::filesystem::exists(folder));
}

BOOST_AUTO_TEST_SUITE_END()
