// SPDX-License-Identifier: Apache-2.0
// Keys: which ones are taken, where they go, and that no text shows them.
#include <cstdlib>
#include <fstream>
#include <map>

#include <gradwire/trainer/service_client.hpp>
#include <gradwire/transport/environment.hpp>

#include "support.hpp"

using namespace security;

namespace {

using variables = std::map<std::string, std::string>;

environment_endpoint found(const variables& in) {
  return read_environment([&in](const char* name) -> const char* {
    const auto at = in.find(name);
    return at == in.end() ? nullptr : at->second.c_str();
  });
}

std::string told(const variables& in) { return found(in).url; }

// A server that says the same to everybody.
listener saying(std::string reply, heard& requests) {
  return listener([reply = std::move(reply), &requests](int it) {
    requests.add(read_request(it));
    write_all(it, reply);
    ::shutdown(it, SHUT_WR);
    while (!read_some(it).empty()) continue;
  });
}

const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

std::string reply_of(const std::string& head, const std::string& body) {
  return "HTTP/1.1 " + head + "Content-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body;
}

class program {
 public:
  explicit program(const std::string& script) : file_(folder_.path / "print-key") {
    std::ofstream(file_) << "#!/bin/sh\n" << script << "\n";
    std::filesystem::permissions(file_, std::filesystem::perms::owner_all);
  }
  std::string path() const { return file_.string(); }

 private:
  temporary_folder folder_;
  std::filesystem::path file_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(keys)

SECURITY_TEST(T08, over_plain_http_a_key_goes_to_this_machine_only) {
  const std::string key = canary("in-clear");
  for (const char* address : {"http://trainer.test", "http://10.0.0.5:8000", "http://localhost.evil.test",
                              "http://[fd00::1]", "http://127.evil.test", "http://0.0.0.0:8000", "http://localhost."}) {
    const auto said = config_error_of([&] { service_client::connect(endpoint{address, key}); });
    BOOST_TEST(contains(said, "over http"), said);
    BOOST_TEST(!contains(said, key));
    BOOST_TEST(contains(config_error_of([&] { service_client::connect(address, {.token = key}); }), "over http"));
    failure_of(exchange(peer_at(address, key)), errc::config, "over http");
    service_client::connect(endpoint{address, ""});  // without a key there is nothing to hide
  }
  for (const char* address : {"http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "https://trainer.test"})
    service_client::connect(endpoint{address, key});
}

SECURITY_TEST(T08, the_option_that_allows_it) {
  heard requests;
  auto server = saying(ok, requests);
  // An address that counts as another machine's and leads here all the same.
  http_peer to = peer_at("http://" + server.at("[::ffff:127.0.0.1]"), canary("allowed"));
  failure_of(exchange(to), errc::config, "over http");
  BOOST_TEST(server.connections == 0);
  to.allow_key_over_http = true;
  BOOST_TEST(is_answered(exchange(to)));
  BOOST_TEST(contains(requests.text(), "X-API-Key: " + canary("allowed") + "\r\n"));
  service_client::connect(endpoint{"http://trainer.test", canary("allowed")}, {.allow_key_over_http = true});
}

SECURITY_TEST(T08, headers_of_a_gateway_are_credentials_too) {
  http_peer to = peer_at("http://trainer.test");
  to.headers.push_back({"CF-Access-Client-Secret", secret(canary("gateway"))});
  failure_of(exchange(to), errc::config, "over http");
}

SECURITY_TEST(T09, keys_that_cannot_be_sent) {
  const std::string key = canary("odd");
  const std::vector<std::string> rows = {key + "\r\nX-Evil: 1",
                                         key + "\n",
                                         key + "\r",
                                         key + std::string(1, '\0'),
                                         key + " ",
                                         " " + key,
                                         key + "\t",
                                         key + "\x7f",
                                         key + "\x01",
                                         key + "\xc3\xa4",
                                         " ",
                                         "\n"};
  for (const std::string& odd : rows) {
    std::vector<std::string> said = {
        config_error_of([&] { secret{odd}; }), config_error_of([&] {
          service_client::connect(endpoint{"http://127.0.0.1:1", odd});
        }),
        config_error_of([&] { service_client::connect("http://127.0.0.1:1", {.token = odd}); })};
    if (odd.find('\0') == odd.npos)  // an environment variable would end there
      said.push_back(config_error_of([&] {
        found({{"TINKER_BASE_URL", "http://127.0.0.1"}, {"TINKER_API_KEY", odd}});
      }));
    for (const std::string& sentence : said) {
      BOOST_TEST(contains(sentence, "(" + std::to_string(odd.size()) + " characters)"), sentence);
      BOOST_TEST(!contains(sentence, "canary"), sentence);
    }
  }
}

SECURITY_TEST(T09, an_empty_key_is_not_a_key) {
  const auto said = config_error_of([] { found({{"TINKER_BASE_URL", "http://127.0.0.1"}, {"TINKER_API_KEY", ""}}); });
  BOOST_TEST(contains(said, "the environment variable TINKER_API_KEY is empty (0 characters)"), said);
  BOOST_TEST(contains(config_error_of([] { found({{"FIREWORKS_API_KEY", ""}}); }), "FIREWORKS_API_KEY is empty"));
  heard requests;
  auto server = saying(ok, requests);
  BOOST_TEST(is_answered(exchange(peer_at("http://" + server.at("127.0.0.1")))));
  BOOST_TEST(!contains(requests.text(), "X-API-Key"));
}

SECURITY_TEST(T09, headers_and_paths_that_would_begin_another_header) {
  const auto peer = peer_at("http://127.0.0.1:1");
  for (const http_request& bad :
       {http_request{.target = "/x\r\nX-Evil: 1"}, http_request{.target = "/x y"}, http_request{.target = "x"},
        http_request{.method = "GET /\r\n", .target = "/x"}, http_request{.target = "/x", .headers = {{"A", "b\nc"}}},
        http_request{.target = "/x", .headers = {{"A\r", "b"}}},
        http_request{.target = "/x", .headers = {{"A", std::string("b\0c", 3)}}}})
    failure_of(exchange(peer, bad), errc::config, "cannot stand there");
}

SECURITY_TEST(T11, a_server_that_echoes_the_key) {
  const std::string key = canary("echoed"), gateway = canary("gateway-echoed");
  for (const std::string& reply :
       {reply_of("401 Unauthorized\r\n", "the key " + key + " is not known, " + key + "!"),
        reply_of("403 Forbidden\r\nWWW-Authenticate: Bearer error=\"" + key + "\"\r\n", "no"),
        reply_of("500 Oops\r\nX-Debug: " + gateway + "\r\n", "{\"detail\":\"" + gateway + "\"}"),
        reply_of("307 Elsewhere\r\nLocation: http://evil.test/?key=" + key + "\r\n", ""),
        reply_of("400 Bad\r\n", std::string(64 * 1024 - 5, 'x') + key)}) {  // cut in the middle of it
    heard requests;
    auto server = saying(reply, requests);
    http_peer to = peer_at("http://" + server.at("127.0.0.1"), key);
    to.headers.push_back({"CF-Access-Client-Secret", secret(gateway)});
    const auto outcome = exchange(to);
    const auto* answer = std::get_if<http_response>(&outcome);
    BOOST_REQUIRE(answer);
    std::string text = answer->body;
    for (const auto& each : answer->headers) text += each.name + each.value;
    BOOST_TEST(!contains(text, "canary"), "status " << answer->status);
    BOOST_TEST(!text.ends_with("tml-"));
    BOOST_TEST(contains(requests.text(), key));
  }
}

SECURITY_TEST(T11, no_redirect_is_followed) {
  heard here, there;
  auto elsewhere = saying(ok, there);
  for (const char* status : {"301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent"}) {
    auto server = saying(
        reply_of(std::string(status) + "\r\nLocation: http://" + elsewhere.at("127.0.0.1") + "/x\r\n", ""), here);
    try {
      service_client::connect(endpoint{"http://" + server.at("127.0.0.1"), canary("redirected")},
                              {.heartbeat_seconds = 0})
          .capabilities()
          .result();
      BOOST_ERROR("it was answered");
    } catch (const error& e) {
      BOOST_TEST(to_string(e.kind()) == "protocol", e.what());
      BOOST_TEST(contains(e.what(), "redirects are not followed"), e.what());
    }
  }
  BOOST_TEST(!here.all().empty());
  BOOST_TEST(elsewhere.connections == 0);
}

SECURITY_TEST(T12, a_password_in_the_address) {
  const std::string password = canary("password");
  for (const std::string& bad :
       {"http://alice:" + password + "@trainer.test", "https://" + password + "@trainer.test/prefix",
        "https://alice:" + password + "@trainer.test:443", "https://alice:12/" + password + "@trainer.test",
        "https://alice:" + password + "#@trainer.test", "https://alice:" + password + "?@trainer.test",
        "alice:" + password + "@trainer.test", "https://alice:" + password + "\r\n@trainer.test",
        "https://" + password + " @trainer.test", "ftp://alice:" + password + "@trainer.test",
        "https://trainer.test/" + password + "?key=" + password, "https://[" + password + "]",
        "https://trainer.test:" + password}) {
    for (const std::string& said :
         {config_error_of([&] { parse_url(bad); }),
          config_error_of([&] { service_client::connect(bad, {.token = canary("t12")}); }), config_error_of([&] {
            found({{"TINKER_BASE_URL", bad}});
          }),
          config_error_of([&] {
            found({{"FIREWORKS_API_KEY", "x"}, {"FIREWORKS_BASE_URL", bad}});
          })}) {
      BOOST_TEST(!contains(said, "canary"), said);
      BOOST_TEST(!contains(said, "alice"), said);
    }
  }
}

// ---- the environment ----

BOOST_AUTO_TEST_CASE(what_the_environment_says) {
  const std::string mine = canary("tinker"), theirs = canary("fireworks");
  const auto tinker = found({{"TINKER_BASE_URL", "https://trainer.test/prefix/"}, {"TINKER_API_KEY", mine}});
  BOOST_TEST(tinker.url == "https://trainer.test/prefix");
  BOOST_TEST((tinker.key.reveal() == mine));
  BOOST_TEST(tinker.key.where() == "the environment variable TINKER_API_KEY");
  BOOST_TEST(found({{"TINKER_BASE_URL", "http://127.0.0.1:8000"}}).key.empty());
  BOOST_TEST(told({{"TINKER_API_KEY", mine}}) == "https://tinker.thinkingmachines.dev/services/tinker-prod");
  const auto fireworks = found({{"FIREWORKS_API_KEY", theirs}});
  BOOST_TEST(fireworks.url == "https://api.fireworks.ai/training/v1/serverless");
  BOOST_TEST((fireworks.key.reveal() == theirs));
  BOOST_TEST(fireworks.key.where() == "the environment variable FIREWORKS_API_KEY");
  BOOST_TEST(told({{"FIREWORKS_API_KEY", theirs}, {"FIREWORKS_BASE_URL", "https://fw.test"}}) ==
             "https://fw.test/training/v1/serverless");
  BOOST_TEST(told({{"FIREWORKS_API_KEY", theirs},
                   {"FIREWORKS_BASE_URL", "https://fw.test/training/v1/rlorTrainerJobs/a/b"}}) ==
             "https://fw.test/training/v1/rlorTrainerJobs/a/b");
  BOOST_TEST(contains(config_error_of([] { found({}); }), "TINKER_BASE_URL is not set"));
  BOOST_TEST(contains(config_error_of([] { found({{"TINKER_BASE_URL", ""}}); }), "TINKER_BASE_URL is not set"));
  BOOST_TEST(contains(config_error_of([&] {
                        found({{"TINKER_API_KEY", mine}, {"FIREWORKS_API_KEY", theirs}});
                      }),
                      "two services"));
}

BOOST_AUTO_TEST_CASE(a_key_goes_to_its_own_service_only) {
  const std::string mine = canary("tinker"), theirs = canary("fireworks");
  const variables both{
      {"TINKER_API_KEY", mine}, {"FIREWORKS_API_KEY", theirs}, {"FIREWORKS_BASE_URL", "https://fw.test"}};
  const auto key_at = [&](const char* address) {
    variables all = both;
    all["TINKER_BASE_URL"] = address;
    return found(all).key.where();
  };
  BOOST_TEST(key_at("https://trainer.test") == "the environment variable TINKER_API_KEY");
  BOOST_TEST(key_at("http://127.0.0.1:8000") == "the environment variable TINKER_API_KEY");
  BOOST_TEST(key_at("https://notfireworks.ai") == "the environment variable TINKER_API_KEY");
  BOOST_TEST(key_at("https://fw.test:444/training/v1/serverless") == "the environment variable TINKER_API_KEY");
  BOOST_TEST(key_at("https://api.fireworks.ai/training/v1/serverless") == "the environment variable FIREWORKS_API_KEY");
  BOOST_TEST(key_at("https://fw.test/training/v1/serverless") == "the environment variable FIREWORKS_API_KEY");
  BOOST_TEST(found({{"TINKER_BASE_URL", "https://trainer.test"}, {"FIREWORKS_API_KEY", theirs}}).key.empty());
}

BOOST_AUTO_TEST_CASE(headers_for_cloudflare) {
  variables all{{"TINKER_BASE_URL", "https://trainer.test"},
                {"CLOUDFLARE_ACCESS_CLIENT_ID", canary("id")},
                {"CLOUDFLARE_ACCESS_CLIENT_SECRET", canary("secret")}};
  const auto headers = found(all).headers;
  BOOST_REQUIRE(headers.size() == 2);
  BOOST_TEST(headers[0].name == "CF-Access-Client-Id");
  BOOST_TEST((headers[0].value.reveal() == canary("id")));
  BOOST_TEST(headers[1].name == "CF-Access-Client-Secret");
  BOOST_TEST((headers[1].value.reveal() == canary("secret")));
  all["TINKER_BASE_URL"] = "http://127.0.0.1:8000";
  BOOST_TEST(found(all).headers.empty());
  all["TINKER_BASE_URL"] = "https://api.fireworks.ai";
  BOOST_TEST(found(all).headers.empty());
  all["TINKER_BASE_URL"] = "https://trainer.test";
  all["CLOUDFLARE_ACCESS_CLIENT_SECRET"] = canary("secret") + "\n";
  const auto said = config_error_of([&] { found(all); });
  BOOST_TEST(contains(said, "CLOUDFLARE_ACCESS_CLIENT_SECRET"));
  BOOST_TEST(!contains(said, "canary"));
  all.erase("CLOUDFLARE_ACCESS_CLIENT_SECRET");
  BOOST_TEST(contains(config_error_of([&] { found(all); }), "belong together"));
}

BOOST_AUTO_TEST_CASE(the_headers_are_sent_with_the_key) {
  heard requests;
  auto server = saying(ok, requests);
  http_peer to = peer_at("http://" + server.at("127.0.0.1"), canary("key"));
  to.headers.push_back({"CF-Access-Client-Id", secret(canary("id"))});
  BOOST_TEST(is_answered(exchange(to)));
  BOOST_TEST(contains(requests.text(), "CF-Access-Client-Id: " + canary("id") + "\r\n"));
  BOOST_TEST(contains(requests.text(), "X-API-Key: " + canary("key") + "\r\n"));
}

BOOST_AUTO_TEST_CASE(a_program_that_prints_the_key) {
  const std::string key = canary("printed");
  const program good("printf '%s\\n' " + key), echo("printf '%s|' \"$@\"");
  const auto from = found({{"TINKER_BASE_URL", "https://trainer.test"}, {"TINKER_CREDENTIAL_CMD", good.path()}});
  BOOST_TEST((from.key.reveal() == key));
  BOOST_TEST(from.key.where() == "what the program of TINKER_CREDENTIAL_CMD prints");
  const auto own = found({{"TINKER_BASE_URL", "https://trainer.test"},
                          {"TINKER_CREDENTIAL_CMD", "false"},
                          {"TINKER_API_KEY", canary("own")}});
  BOOST_TEST((own.key.reveal() == canary("own")));
  // Words as a shell makes them, and nothing else that a shell does.
  BOOST_TEST(run_credential_command(echo.path() + " a  'b c' \"d e\" f\\ g '' 'h'\"i\"j '$HOME;`x`' \"\\$K\\\\\"") ==
             "a|b c|d e|f g||hij|$HOME;`x`|$K\\|");
  for (const char* bad : {"echo $HOME", "echo `id`", "echo \"$(id)\"", "a | b", "a; b", "a && b", "a > b", "a < b",
                          "ls *", "ls ?", "(a)", "a # b", "~/x", "a\nb", "a 'b", "a \"b", "", "  "}) {
    const auto said = config_error_of([&] { run_credential_command(bad); });
    BOOST_TEST(contains(said, "TINKER_CREDENTIAL_CMD"), bad);
  }
}

BOOST_AUTO_TEST_CASE(a_program_that_fails_shows_nothing_of_the_key) {
  const std::string key = canary("half-printed");
  const auto said = [&](const std::string& script, double seconds = 10) {
    const program failing("printf %s " + key + "\n" + script);
    const auto begun = std::chrono::steady_clock::now();
    const auto sentence = config_error_of([&] { run_credential_command(failing.path(), seconds); });
    BOOST_TEST(!contains(sentence, "canary"), sentence);
    BOOST_TEST((std::chrono::steady_clock::now() - begun < std::chrono::seconds(5)));
    return sentence;
  };
  BOOST_TEST(contains(said("exit 3"), "status 3"));
  BOOST_TEST(contains(said("kill -9 $$"), "signal 9"));
  BOOST_TEST(contains(said("exec sleep 60", 0.1), "in time"));
  BOOST_TEST(contains(said("exec >&-; exec sleep 60", 0.1), "in time"));
  BOOST_TEST(contains(said("exec cat /dev/zero"), "far more"));
  BOOST_TEST(contains(config_error_of([] { run_credential_command("/no/such/program"); }), "cannot be started"));
  const program nothing("exit 0"), two_lines("echo " + key + "; echo " + key);
  BOOST_TEST(contains(config_error_of([&] {
                        found({{"TINKER_BASE_URL", "http://127.0.0.1"}, {"TINKER_CREDENTIAL_CMD", nothing.path()}});
                      }),
                      "is empty (0 characters)"));
  const auto both = config_error_of([&] {
    found({{"TINKER_BASE_URL", "http://127.0.0.1"}, {"TINKER_CREDENTIAL_CMD", two_lines.path()}});
  });
  BOOST_TEST(contains(both, "TINKER_CREDENTIAL_CMD"));
  BOOST_TEST(!contains(both, "canary"));
}

BOOST_AUTO_TEST_SUITE_END()
