// SPDX-License-Identifier: Apache-2.0
// What the embedded server refuses: other sites' pages, wrong keys, oversized and malformed requests.
#include <zstd.h>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include <gradwire/error.hpp>

#include "raw_http.hpp"

using namespace gradwire;

namespace {

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

struct running {
  loopback::server server{{.threads = 1, .body_limit = 1 << 20}};
  raw_client http{server};

  raw_reply raw(const std::string& text) const {
    raw_connection connection(http.port());
    connection.send(text);
    return connection.receive();
  }
};

const running& shared() {
  static const running one;
  return one;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(server_safety)

BOOST_AUTO_TEST_CASE(a_token_is_made_and_wanted) {
  const auto& it = shared();
  const auto [url, token] = it.server.endpoint();
  BOOST_TEST(url.starts_with("http://127.0.0.1:"));
  BOOST_TEST(token.size() == 36);
  BOOST_TEST(token.starts_with("tml-"));
  BOOST_TEST(token.find_first_not_of("0123456789abcdef", 4) == std::string::npos);
  loopback::server other({.threads = 1});
  BOOST_TEST(other.endpoint().token != token);

  const char* path = "/api/v1/get_server_capabilities";
  const auto missing = it.http.send("GET", path, "", "");
  BOOST_TEST(missing.status == 401);
  BOOST_TEST(missing.body == R"({"detail":"Missing API key"})");
  for (const std::string& wrong : {token + "0", token.substr(1), std::string("tml-"), other.endpoint().token}) {
    const auto reply = it.http.send("GET", path, "", "X-API-Key: " + wrong + "\r\n");
    BOOST_TEST(reply.status == 403);
    BOOST_TEST(reply.body == R"({"detail":"Invalid API key"})");
    BOOST_TEST(!contains(reply.body, token));
  }
  BOOST_TEST(it.http.send("GET", path, "", "Authorization: Bearer " + token + "\r\n").status == 200);
  BOOST_TEST(it.http.send("GET", "/api/v1/healthz", "", "").body == R"({"status":"ok"})");
}

BOOST_AUTO_TEST_CASE(only_this_machine_and_no_web_page) {
  const auto& it = shared();
  const std::string line = "GET /api/v1/healthz HTTP/1.1\r\n";
  BOOST_TEST(it.raw(line + "Host: 127.0.0.1:1\r\n\r\n").status == 200);
  BOOST_TEST(it.raw(line + "Host: localhost\r\n\r\n").status == 200);
  BOOST_TEST(it.raw(line + "Host: evil.example\r\n\r\n").status == 421);
  BOOST_TEST(it.raw(line + "Host: 127.0.0.1.evil.example\r\n\r\n").status == 421);
  BOOST_TEST(it.raw(line + "\r\n").status == 400);
  BOOST_TEST(it.raw(line + "Host: localhost\r\nHost: localhost\r\n\r\n").status == 400);
  BOOST_TEST(it.raw(line + "Host: localhost\r\nOrigin: http://evil.example\r\n\r\n").status == 403);
}

BOOST_AUTO_TEST_CASE(a_body_has_one_framing) {
  const auto& it = shared();
  const std::string head = "POST /api/v1/create_session HTTP/1.1\r\nHost: localhost\r\n" + it.http.key();
  const std::string chunk = "2\r\n{}\r\n0\r\n\r\n";
  BOOST_TEST(it.raw(head + "Transfer-Encoding: chunked\r\n\r\n" + chunk).status == 200);
  for (const char* framing :
       {"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: xchunked\r\n", "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Content-Length: +2\r\n", "Content-Length: 0x2\r\n", "Content-Length : 2\r\n"}) {
    const auto reply = it.raw(head + framing + "\r\n" + chunk);
    BOOST_TEST(reply.status == 400, framing);
  }
  BOOST_TEST(it.raw("POST /api/v1/create_session HTTP/1.0\r\nHost: localhost\r\n" + it.http.key() +
                    "Transfer-Encoding: chunked\r\n\r\n" + chunk)
                 .status == 400);
}

BOOST_AUTO_TEST_CASE(large_and_deep_and_packed_bodies) {
  const auto& it = shared();
  const std::string big(2 << 20, ' ');
  BOOST_TEST(it.http.post("create_session", big).status == 413);
  BOOST_TEST(it.http.post("create_session", std::string(100'000, '[')).status == 422);
  std::string packed(ZSTD_compressBound(big.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), big.data(), big.size(), 3));
  const auto send = [&](const std::string& body, const char* encoding) {
    return it.http
        .send("POST", "/api/v1/create_session", body, it.http.key() + "Content-Encoding: " + encoding + "\r\n")
        .status;
  };
  BOOST_TEST(send(packed, "zstd") == 413);
  const std::string small = R"({"tags":[],"user_metadata":{},"sdk_version":"x"})";
  packed.resize(ZSTD_compressBound(small.size()));
  packed.resize(ZSTD_compress(packed.data(), packed.size(), small.data(), small.size(), 3));
  BOOST_TEST(send(packed, "zstd") == 200);
  BOOST_TEST(send(packed.substr(0, packed.size() - 3), "zstd") == 422);
  BOOST_TEST(send(small, "zstd") == 422);
  BOOST_TEST(send(small, "gzip") == 415);
}

BOOST_AUTO_TEST_CASE(routes_methods_and_types) {
  const auto& it = shared();
  const auto status = [&](const char* method, const char* path, const char* headers) {
    const auto reply = it.http.send(method, path, "{}", it.http.key() + headers);
    BOOST_TEST(contains(reply.body, R"({"detail":)"), reply.body);
    return reply.status;
  };
  BOOST_TEST(status("GET", "/", "") == 404);
  BOOST_TEST(status("GET", "/api/v1/", "") == 404);
  BOOST_TEST(status("GET", "/api/v1/nothing", "") == 404);
  BOOST_TEST(status("GET", "/api/v1/optim_step", "") == 405);
  BOOST_TEST(status("PUT", "/api/v1/healthz", "") == 405);
  BOOST_TEST(status("POST", "/api/v1/optim_step", "Content-Type: text/html\r\n") == 415);
  BOOST_TEST(status("POST", "/api/v1/optim_step", "") == 422);
  BOOST_TEST(status("GET", "/api/v1/debug/counters", "") == 404);  // only with the option
  BOOST_TEST(status("GET", "/api/v1/sessions/none", "") == 404);
  BOOST_TEST(status("GET", "/api/v1/samplers/none", "") == 404);
  BOOST_TEST(status("GET", "/api/v1/training_runs/..%2f../checkpoints", "") == 404);
}

BOOST_AUTO_TEST_CASE(bodies_that_are_not_what_they_say) {
  const auto& it = shared();
  const auto json = it.http.post("optim_step", "{\"model_id\":");
  BOOST_TEST(json.status == 422);
  BOOST_TEST(contains(json.body, "not valid JSON"));
  const auto fields = it.http.post("optim_step", R"({"model_id":7})");
  BOOST_TEST(
      contains(fields.body, R"({"type":"missing","loc":["body","adam_params"],"msg":"Field required","input":null})"),
      fields.body);
  BOOST_TEST(contains(fields.body, R"("loc":["body","model_id"])"));
  for (const std::string bytes : {"\xff\xff", "\x0a\x7f", "x"}) {
    const auto reply = it.http.send("POST", "/api/v1/forward_backward", bytes,
                                    it.http.key() + "Content-Type: application/x-protobuf\r\n");
    BOOST_TEST(reply.status == 422);
    BOOST_TEST(contains(reply.body, "malformed protobuf"), reply.body);
  }
}

BOOST_AUTO_TEST_CASE(options_that_cannot_be_used) {
  const auto kind = [](loopback::start_options options) {
    try {
      loopback::server server(std::move(options));
    } catch (const error& e) {
      return e.kind();
    }
    BOOST_FAIL("started");
    return errc::closed;
  };
  BOOST_TEST((kind({.token = "a\r\nb"}) == errc::config));
  BOOST_TEST((kind({.model = "nobody/nothing"}) == errc::config));
  BOOST_TEST((kind({.port = shared().http.port()}) == errc::transport));
  BOOST_TEST((kind({.checkpoints = "/proc/none"}) == errc::config));
}

BOOST_AUTO_TEST_CASE(a_temporary_folder_goes_with_its_server) {
  std::filesystem::path folder;
  {
    loopback::server server({.threads = 1});
    folder = server.checkpoints();
    BOOST_TEST(std::filesystem::exists(folder));
    loopback::server moved = std::move(server);
    BOOST_TEST((moved.checkpoints() == folder));
  }
  BOOST_TEST(!std::filesystem::exists(folder));
}

BOOST_AUTO_TEST_SUITE_END()
