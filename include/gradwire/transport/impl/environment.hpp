// SPDX-License-Identifier: Apache-2.0
// How environment.hpp works.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <gradwire/transport/environment.hpp>
#include <gradwire/transport/impl/credential_command.hpp>
#include <gradwire/transport/url.hpp>

namespace gradwire::inline v0 {
namespace detail {

inline std::string named_variable(const char* name) { return "the environment variable " + std::string(name); }

// One that is set to nothing is a mistake in a script, not a wish.
inline secret key_in(const environment_reader& environment, const char* name) {
  const char* const value = environment(name);
  return value ? secret::required(value, named_variable(name)) : secret();
}

inline secret tinker_key(const environment_reader& environment) {
  if (environment("TINKER_API_KEY")) return key_in(environment, "TINKER_API_KEY");
  const char* const command = environment("TINKER_CREDENTIAL_CMD");
  if (!command || !*command) return secret();
  return secret::required(run_credential_command(command), "what the program of TINKER_CREDENTIAL_CMD prints");
}

inline bool is_set(const environment_reader& environment, const char* name) {
  const char* const value = environment(name);
  return value && *value;
}

inline url address_in(const environment_reader& environment, const char* name) {
  try {
    return parse_url(environment(name));
  } catch (const error& wrong) {  // the sentence repeats nothing of the address
    throw error(errc::config, named_variable(name) + ": " + std::string(wrong.what()).substr(sizeof "gradwire: " - 1));
  }
}

inline bool is_fireworks(const environment_reader& environment, const url& address) {
  if (address.host == "fireworks.ai" || address.host.ends_with(".fireworks.ai")) return true;
  if (!is_set(environment, "FIREWORKS_BASE_URL")) return false;
  const url theirs = address_in(environment, "FIREWORKS_BASE_URL");
  return theirs.tls == address.tls && theirs.host == address.host && theirs.port == address.port;
}

// Cloudflare's gateway wants two headers before it lets a request through to the trainer behind it.
inline std::vector<secret_header> gateway_headers(const environment_reader& environment, const url& address) {
  constexpr const char* names[][2] = {{"CLOUDFLARE_ACCESS_CLIENT_ID", "CF-Access-Client-Id"},
                                      {"CLOUDFLARE_ACCESS_CLIENT_SECRET", "CF-Access-Client-Secret"}};
  std::vector<secret_header> headers;
  if (address.is_loopback()) return headers;  // there is no gateway before this machine
  for (const auto& [variable, header] : names)
    if (is_set(environment, variable)) headers.push_back({header, key_in(environment, variable)});
  if (headers.size() == 1)
    throw error(errc::config,
                "CLOUDFLARE_ACCESS_CLIENT_ID and CLOUDFLARE_ACCESS_CLIENT_SECRET belong together; only "
                "one of them is set");
  return headers;
}

}  // namespace detail

GRADWIRE_DECL environment_endpoint read_environment(const environment_reader& environment) {
  environment_endpoint found;
  const bool tinker_has_key = environment("TINKER_API_KEY") || detail::is_set(environment, "TINKER_CREDENTIAL_CMD");
  const bool fireworks = environment("FIREWORKS_API_KEY") || detail::is_set(environment, "FIREWORKS_BASE_URL");
  if (detail::is_set(environment, "TINKER_BASE_URL")) {
    const url address = detail::address_in(environment, "TINKER_BASE_URL");
    found.url = address.text();
    const bool is_theirs = detail::is_fireworks(environment, address);
    if (is_theirs) found.key = detail::key_in(environment, "FIREWORKS_API_KEY");
    if (found.key.empty()) found.key = detail::tinker_key(environment);
    if (!is_theirs) found.headers = detail::gateway_headers(environment, address);
  } else if (fireworks && tinker_has_key) {
    throw error(errc::config,
                "the environment has keys of two services, TINKER_… and FIREWORKS_…; say with TINKER_BASE_URL which "
                "one is meant, or give the address to connect()");
  } else if (fireworks) {
    url address = parse_url("https://api.fireworks.ai");
    if (detail::is_set(environment, "FIREWORKS_BASE_URL"))
      address = detail::address_in(environment, "FIREWORKS_BASE_URL");
    if (address.prefix.empty()) address.prefix = "/training/v1/serverless";
    found.url = address.text();
    found.key = detail::key_in(environment, "FIREWORKS_API_KEY");
  } else if (tinker_has_key) {
    const url address = parse_url("https://tinker.thinkingmachines.dev/services/tinker-prod");
    found.url = address.text();
    found.key = detail::tinker_key(environment);
    found.headers = detail::gateway_headers(environment, address);
  } else {
    throw error(errc::config,
                "the environment variable TINKER_BASE_URL is not set, nor TINKER_API_KEY or FIREWORKS_API_KEY; set "
                "TINKER_BASE_URL to the trainer's address, or give the address to connect()");
  }
  return found;
}

}  // namespace gradwire::inline v0
