// SPDX-License-Identifier: Apache-2.0
// Bytes as the trainer's address, the proxy's, NO_PROXY and the key: nothing that goes into a request's head has a line
// end or a NUL in it, what is accepted is written and read again as the same, and no error shows a key or a password.
#include "fuzz.hpp"

#include <gradwire/error.hpp>
#include <gradwire/transport/environment.hpp>
#include <gradwire/transport/proxy.hpp>
#include <gradwire/transport/secret.hpp>
#include <gradwire/transport/url.hpp>

#include <map>

namespace {

using namespace gradwire;

bool harmless(std::string_view text) {
  for (const char c : text)
    if (c <= 0x20 || c > 0x7e) return false;
  return true;
}

// In front of every key and password, so that a sentence does not have them in it by chance.
const std::string canary = "Zq7~canary~";

void check_sentence(const error& refused) {
  fuzz::require(refused.kind() == errc::config, std::string("refused as something else: ") + refused.what());
  fuzz::require(std::string_view(refused.what()).find("canary") == std::string_view::npos,
                std::string("an error shows a key or a password: ") + refused.what());
}

void run(std::string_view input) {
  std::string part[5];  // address, key, proxy, NO_PROXY, another key; a line each
  std::size_t at = 0;
  for (auto& each : part) {
    const std::size_t end = std::min(input.find('\n', at), input.size());
    each = input.substr(std::min(at, input.size()), end - std::min(at, input.size()));
    at = end + 1;
  }
  const std::string key = part[1].empty() ? "" : canary + part[1], other_key = part[4].empty() ? "" : canary + part[4];
  for (std::string* address : {&part[0], &part[2]})  // user:password@ before a host
    if (const auto colon = address->find(':', address->find("//") == std::string::npos ? 0 : address->find("//"));
        colon != std::string::npos && address->find('@', colon) != std::string::npos)
      address->insert(colon + 1, canary);

  try {
    const url parsed = parse_url(part[0]);
    fuzz::require(harmless(parsed.host_header()) && harmless("/" + parsed.prefix),
                  "a header would have a line end or a space");
    fuzz::require(parsed.port != 0 && !parsed.host.empty(), "an address without host or port");
    fuzz::require(part[0].find('@') == std::string::npos, "a password in an address was taken");
    fuzz::require(parse_url(parsed.text()) == parsed, "written and read again it is another: " + parsed.text());
  } catch (const error& refused) {
    check_sentence(refused);
  }
  try {
    const secret made(key);
    fuzz::require(harmless(made.reveal()), "a key with a line end was taken");
    const std::string echoed = made.removed_from("before " + key + " after " + key);
    fuzz::require(key.empty() || echoed.find(key) == std::string::npos, "a key was left in a text");
  } catch (const error& refused) {
    check_sentence(refused);
  }
  try {
    const http_proxy proxy = parse_proxy(part[2], "HTTPS_PROXY");
    fuzz::require(harmless(proxy.address.host_header()) && harmless(proxy.credentials.reveal()),
                  "a line end in a proxy");
  } catch (const error& refused) {
    check_sentence(refused);
  }
  url to;
  to.host = "api.example.test";
  is_exempt_from_proxy(part[3], to);

  const std::map<std::string, std::string> table{{"TINKER_BASE_URL", part[0]},
                                                 {"TINKER_API_KEY", key},
                                                 {"HTTPS_PROXY", part[2]},
                                                 {"NO_PROXY", part[3]},
                                                 {"FIREWORKS_API_KEY", other_key}};
  const environment_reader environment = [&](const char* name) -> const char* {
    const auto found = table.find(name);
    return found == table.end() || found->second.empty() ? nullptr : found->second.c_str();
  };
  try {
    const environment_endpoint where = read_environment(environment);
    fuzz::require(harmless(where.key.reveal()), "a key with a line end was taken from the environment");
    choose_proxy(parse_url(where.url), "", environment);
  } catch (const error& refused) {
    check_sentence(refused);
  }
}

std::vector<std::string> seeds() {
  return {
      "http://127.0.0.1:8000\ntml-0123456789abcdef0123\nhttp://"
      "proxy.test:3128\nlocalhost,.example.test\nfw_0123456789abcdef",
      "https://api.example.test/services/prod/\ntml-key with space\nhttp://user:password@proxy.test\n*\n",
      "https://user:hunter2hunter2@host/\nk\r\nX-Evil: 1\n\n10.0.0.0/8\n",
      "http://[::1]:65535/\n\n[::1]:8080\n::1,127.0.0.1\n",
      "http://h:99999\n\xc3\xa9\nhttp://\nhost:443\n",
      "https://tinker.example.test\ntml-0123456789abcdef0123\nnone\n\n"};
}

const fuzz::registered here({"url_env", run, seeds, 20000});

}  // namespace
