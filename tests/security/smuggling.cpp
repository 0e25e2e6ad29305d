// SPDX-License-Identifier: Apache-2.0
// Requests that two readers could take for two different ones: each is refused and ends its connection.
#include "trainer.hpp"

using namespace security;

namespace {

struct framing {
  const char* name;
  std::string line = "POST /api/v1/create_session HTTP/1.1";
  std::string headers{};  // each with its line end; @ is the token's header and the Host
  std::string body = "2\r\n{}\r\n0\r\n\r\n";
};

const std::vector<framing>& smuggled() {
  static const std::string line = "POST /api/v1/create_session HTTP/1.1";
  static const std::vector<framing> rows = {
      {.name = "TE gzip", .headers = "@Transfer-Encoding: gzip\r\n"},
      {.name = "TE identity", .headers = "@Transfer-Encoding: identity\r\n"},
      {.name = "TE xchunked", .headers = "@Transfer-Encoding: xchunked\r\n"},
      {.name = "TE chunkedx", .headers = "@Transfer-Encoding: chunkedx\r\n"},
      {.name = "TE gzip, chunked", .headers = "@Transfer-Encoding: gzip, chunked\r\n"},
      {.name = "TE chunked, gzip", .headers = "@Transfer-Encoding: chunked, gzip\r\n"},
      {.name = "TE chunked, chunked", .headers = "@Transfer-Encoding: chunked, chunked\r\n"},
      {.name = "TE with a parameter", .headers = "@Transfer-Encoding: chunked;q=1\r\n"},
      {.name = "TE in quotes", .headers = "@Transfer-Encoding: \"chunked\"\r\n"},
      {.name = "TE empty", .headers = "@Transfer-Encoding:\r\n"},
      {.name = "TE behind a vertical tab",
       .headers = "@Transfer-Encoding: \x0b"
                  "chunked\r\n"},
      {.name = "TE with a space before the colon", .headers = "@Transfer-Encoding : chunked\r\n"},
      {.name = "TE folded", .headers = "@Transfer-Encoding:\r\n chunked\r\n"},
      {.name = "TE folded with a tab", .headers = "@Transfer-Encoding:\r\n\tchunked\r\n"},
      {.name = "two TE", .headers = "@" + chunked + chunked},
      {.name = "two TE, gzip first", .headers = "@Transfer-Encoding: gzip\r\n" + chunked},
      {.name = "TE and CL", .headers = "@" + chunked + "Content-Length: 2\r\n"},
      {.name = "CL and TE", .headers = "@Content-Length: 12\r\n" + chunked},
      {.name = "HTTP/1.0 and chunked", .line = "POST /api/v1/create_session HTTP/1.0", .headers = "@" + chunked},
      {.name = "two CL", .headers = "@Content-Length: 2\r\nContent-Length: 3\r\n", .body = "{}"},
      {.name = "two CL that are the same", .headers = "@Content-Length: 2\r\nContent-Length: 2\r\n", .body = "{}"},
      {.name = "a list of CL", .headers = "@Content-Length: 2, 2\r\n", .body = "{}"},
      {.name = "CL +2", .headers = "@Content-Length: +2\r\n", .body = "{}"},
      {.name = "CL -2", .headers = "@Content-Length: -2\r\n", .body = "{}"},
      {.name = "CL 0x2", .headers = "@Content-Length: 0x2\r\n", .body = "{}"},
      {.name = "CL 2 2", .headers = "@Content-Length: 2 2\r\n", .body = "{}"},
      {.name = "CL empty", .headers = "@Content-Length:\r\n", .body = "{}"},
      {.name = "CL over 64 bits", .headers = "@Content-Length: 18446744073709551618\r\n", .body = "{}"},
      {.name = "CL with a space before the colon", .headers = "@Content-Length : 2\r\n", .body = "{}"},
      {.name = "CL with a NUL", .headers = "@Content-Length: 2" + std::string(1, '\0') + "\r\n", .body = "{}"},
      {.name = "no Host", .headers = "#Content-Length: 2\r\n", .body = "{}"},
      {.name = "two Hosts", .headers = "@Host: localhost\r\nContent-Length: 2\r\n", .body = "{}"},
      {.name = "Host and another", .headers = "@Host: evil.example\r\nContent-Length: 2\r\n", .body = "{}"},
      {.name = "a folded header", .headers = "@X: a\r\n b\r\nContent-Length: 2\r\n", .body = "{}"},
      {.name = "a header that begins with a space", .headers = " X: a\r\n@Content-Length: 2\r\n", .body = "{}"},
      {.name = "a bare line feed", .headers = "@X: a\nContent-Length: 2\r\n", .body = "{}"},
      {.name = "bare line feeds only", .line = "GET /api/v1/healthz HTTP/1.1\nHost: localhost\n\n"},
      {.name = "a bare carriage return", .headers = "@X: a\rContent-Length: 2\r\n", .body = "{}"},
      {.name = "a NUL in a header",
       .headers = "@X: a" + std::string(1, '\0') + "b\r\nContent-Length: 2\r\n",
       .body = "{}"},
      {.name = "a NUL in a header's name",
       .headers = "@X" + std::string(1, '\0') + ": b\r\nContent-Length: 2\r\n",
       .body = "{}"},
      {.name = "a header without a colon", .headers = "@X\r\nContent-Length: 2\r\n", .body = "{}"},
      {.name = "a header without a name", .headers = "@: x\r\nContent-Length: 2\r\n", .body = "{}"},
      {.name = "chunk size +2", .headers = "@" + chunked, .body = "+2\r\n{}\r\n0\r\n\r\n"},
      {.name = "chunk size 0x2", .headers = "@" + chunked, .body = "0x2\r\n{}\r\n0\r\n\r\n"},
      {.name = "chunk size -2", .headers = "@" + chunked, .body = "-2\r\n{}\r\n0\r\n\r\n"},
      {.name = "chunk size of nothing", .headers = "@" + chunked, .body = "\r\n{}\r\n0\r\n\r\n"},
      {.name = "chunk size over 64 bits", .headers = "@" + chunked, .body = "10000000000000002\r\n{}\r\n0\r\n\r\n"},
      {.name = "chunk size behind a space", .headers = "@" + chunked, .body = " 2\r\n{}\r\n0\r\n\r\n"},
      {.name = "chunk size and a bare line feed", .headers = "@" + chunked, .body = "2\n{}\r\n0\r\n\r\n"},
      {.name = "chunk longer than its size", .headers = "@" + chunked, .body = "2\r\n{}x\r\n0\r\n\r\n"},
      {.name = "chunk with a bare line feed behind it", .headers = "@" + chunked, .body = "2\r\n{}\n0\r\n\r\n"},
      {.name = "a trailer", .headers = "@" + chunked, .body = "2\r\n{}\r\n0\r\nX: y\r\n\r\n"},
      {.name = "a trailer that is a CL", .headers = "@" + chunked, .body = "2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n"},
      {.name = "a whole address as target",
       .line = "POST http://evil.example/api/v1/create_session HTTP/1.1",
       .headers = "@Content-Length: 2\r\n",
       .body = "{}"},
      {.name = "a target without a slash",
       .line = "POST api/v1/create_session HTTP/1.1",
       .headers = "@Content-Length: 2\r\n",
       .body = "{}"},
      {.name = "CONNECT", .line = "CONNECT 127.0.0.1:22 HTTP/1.1", .headers = "@", .body = ""},
      {.name = "HTTP/2.0",
       .line = "POST /api/v1/create_session HTTP/2.0",
       .headers = "@Content-Length: 2\r\n",
       .body = "{}"},
      {.name = "HTTP/0.9", .line = "GET /api/v1/healthz", .headers = "", .body = ""},
      {.name = "http/1.1",
       .line = "POST /api/v1/create_session http/1.1",
       .headers = "@Content-Length: 2\r\n",
       .body = "{}"},
      {.name = "two spaces in the first line",
       .line = "POST  /api/v1/create_session HTTP/1.1",
       .headers = "@Content-Length: 2\r\n",
       .body = "{}"},
      {.name = "a space in the target",
       .line = "POST /api/v1/create_session x HTTP/1.1",
       .headers = "@Content-Length: 2\r\n",
       .body = "{}"},
      {.name = "TLS", .line = "\x16\x03\x01\x02"},
  };
  return rows;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(smuggling)

SECURITY_TEST(K06, requests_with_two_meanings_are_refused_and_the_connection_ends) {
  const auto& it = shared();
  BOOST_TEST(smuggled().size() >= 26u);
  const auto sessions = it.get("sessions").body;
  for (const auto& row : smuggled()) {
    std::string headers;
    for (const char c : row.headers)
      if (c == '@')
        headers += "Host: localhost\r\n" + it.key();
      else if (c == '#')
        headers += it.key();
      else
        headers += c;
    connection made(it.port);
    made.send(row.line + "\r\n" + headers + "\r\n" + row.body +
              "GET /api/v1/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");  // must never be answered
    const auto reply = made.receive_all();
    BOOST_TEST(reply.status == 400, row.name << ": " << reply.status << " " << reply.body);
    BOOST_TEST(reply.count == 1, row.name);
    BOOST_TEST(reply.ended, row.name);
    BOOST_TEST(contains(reply.head, "Connection: close"), row.name);
    BOOST_TEST(reply.body.starts_with("{\"detail\":\""), row.name);
  }
  BOOST_TEST(it.get("sessions").body == sessions);  // nothing was done
}

SECURITY_TEST(K06, the_same_request_with_one_meaning_is_answered) {
  const auto& it = shared();
  const std::string head = "POST /api/v1/client/config HTTP/1.1\r\nHost: localhost\r\n" + it.key();
  BOOST_TEST(it.say(head + chunked + "\r\n1\r\n{\r\n1;ext=1\r\n}\r\n0\r\n\r\n").status == 200);
  BOOST_TEST(it.say(head + "Transfer-Encoding:\tChunked \r\n\r\n2\r\n{}\r\n000\r\n\r\n").status == 200);
  BOOST_TEST(it.say(head + "Content-Length: 2\r\n\r\n{}").status == 200);
  connection both(it.port);  // two requests at once, in order
  both.send(head + "Content-Length: 2\r\n\r\n{}" + "GET /api/v1/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  BOOST_TEST(both.receive().status == 200);
  BOOST_TEST(both.receive().body == R"({"status":"ok"})");
  connection slow(it.port);  // byte by byte
  for (const char c : "GET /api/v1/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    if (c) slow.send(std::string_view(&c, 1));
  BOOST_TEST(slow.receive().status == 200);
}

SECURITY_TEST(K06, a_head_that_is_too_long) {
  const auto& it = shared();
  const std::string line = "GET /api/v1/healthz HTTP/1.1\r\nHost: localhost\r\n";
  BOOST_TEST(it.say(line + "X: " + std::string(15'000, 'x') + "\r\n\r\n").status == 200);
  BOOST_TEST(it.say(line + "X: " + std::string(17'000, 'x') + "\r\n\r\n").status == 431);
  BOOST_TEST(it.say(line + "X: " + std::string(100'000, 'x')).status == 431);
  std::string many;
  for (int i = 0; i < 10'000; ++i) many += "X: y\r\n";
  BOOST_TEST(it.say(line + many + "\r\n").status == 431);
}

BOOST_AUTO_TEST_SUITE_END()
