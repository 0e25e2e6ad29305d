// SPDX-License-Identifier: Apache-2.0
#include <string>

#include <boost/test/unit_test.hpp>

#include <gradwire/transport/secret.hpp>
#include <gradwire/transport/server_text.hpp>
#include <gradwire/transport/url.hpp>

using namespace gradwire;

BOOST_AUTO_TEST_SUITE(address)

BOOST_AUTO_TEST_CASE(parts_of_an_address) {
  const url a = parse_url("https://Tinker.Example.COM/services/prod/");
  BOOST_TEST(a.tls);
  BOOST_TEST(a.host == "tinker.example.com");
  BOOST_TEST(a.port == 443);
  BOOST_TEST(a.prefix == "/services/prod");
  BOOST_TEST(a.host_header() == "tinker.example.com");
  BOOST_TEST(a.text() == "https://tinker.example.com/services/prod");
  BOOST_TEST(!a.is_loopback());
  const url b = parse_url("http://127.0.0.1:8000");
  BOOST_TEST(!b.tls);
  BOOST_TEST(b.port == 8000);
  BOOST_TEST(b.prefix.empty());
  BOOST_TEST(b.host_header() == "127.0.0.1:8000");
  BOOST_TEST(b.is_loopback());
  BOOST_TEST(b.is_ip_literal());
  const url c = parse_url("http://[::1]:99///");
  BOOST_TEST(c.host == "::1");
  BOOST_TEST(c.host_header() == "[::1]:99");
  BOOST_TEST(c.is_loopback());
  BOOST_TEST(c.prefix.empty());
  BOOST_TEST(parse_url("http://localhost").is_loopback());
  BOOST_TEST(!parse_url("http://localhost.example.com").is_loopback());
  BOOST_TEST(!parse_url("http://127.example.com").is_loopback());
  BOOST_TEST(!parse_url("http://128.0.0.1").is_loopback());
}

BOOST_AUTO_TEST_CASE(addresses_that_are_refused) {
  for (const char* text :
       {"", "127.0.0.1", "ftp://x", "http://", "http:///x", "http://a b", "http://x/a b", "http://x/\r\nEvil: 1",
        "http://x:0", "http://x:70000", "http://x:8o", "http://x?y", "http://x#y", "http://u:p@x", "http://u@x",
        "http://[::1", "http://[zz]", "http://x\xc3\xa4", "http://a,b"}) {
    try {
      parse_url(text);
      BOOST_ERROR("accepted: " << text);
    } catch (const error& e) {
      BOOST_TEST((e.kind() == errc::config), text);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_key_shows_itself_nowhere) {
  const secret key("tml-0123456789");
  BOOST_TEST(key.removed_from("your key tml-0123456789 is wrong, tml-0123456789!") ==
             "your key (key) is wrong, (key)!");
  BOOST_TEST(secret().removed_from("nothing to hide") == "nothing to hide");
  for (const char* text : {"a b", "a\r\nb", "a\x01", "sch\xc3\xb6n", "a\x7f"}) {
    try {
      secret{std::string(text)};
      BOOST_ERROR("accepted");
    } catch (const error& e) {
      BOOST_TEST((e.kind() == errc::config));
      BOOST_TEST(std::string(e.what()).find(text) == std::string::npos);
    }
  }
}

BOOST_AUTO_TEST_CASE(what_a_server_says) {
  const auto text = [](std::string body) { return detail::server_text({400, {}, std::move(body)}); };
  BOOST_TEST(text(R"({"detail":"Model not found"})") == "Model not found");
  BOOST_TEST(text(R"({"error":{"message":"no quota","code":7}})") == "no quota");
  BOOST_TEST(text(R"({"error":"broken","category":"user"})") == "broken");
  BOOST_TEST(text(R"({"message":"hm"})") == "hm");
  BOOST_TEST(text(R"({"detail":[{"loc":["body","data",0],"msg":"bad"},{"loc":["x"],"msg":"worse"}]})") ==
             "body.data.0: bad; x: worse");
  BOOST_TEST(text("Internal Server Error") == "Internal Server Error");
  BOOST_TEST(text("{not json") == "{not json");
  BOOST_TEST(text("") == "");
  BOOST_TEST(text("a\x1b[2Jb") == "a\\x1b[2Jb");
  const auto conflict = detail::find_sequence_conflict("Sequence conflict: expected 5, got 7.");
  BOOST_REQUIRE(conflict.has_value());
  BOOST_TEST(conflict->expected == 5);
  BOOST_TEST(conflict->got == 7);
  BOOST_TEST(!detail::find_sequence_conflict("Training request sequence number was reused").has_value());
  BOOST_TEST(!detail::find_sequence_conflict("expected a number, got nothing").has_value());
}

BOOST_AUTO_TEST_SUITE_END()
