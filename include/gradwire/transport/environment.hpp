// SPDX-License-Identifier: Apache-2.0
// What the environment says about the trainer: its address, the key, and what a gateway before it wants. A key goes to
// the service that it belongs to and to no other:
//
//   TINKER_BASE_URL         the address; without it Tinker's own, when there is a key for that
//   TINKER_API_KEY          the key, or …
//   TINKER_CREDENTIAL_CMD   … a program that prints it, run once, without a shell
//   FIREWORKS_API_KEY       the key for addresses of Fireworks, and for no others; FIREWORKS_BASE_URL: their address
//   CLOUDFLARE_ACCESS_CLIENT_ID, CLOUDFLARE_ACCESS_CLIENT_SECRET: headers for the address of TINKER_BASE_URL
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <gradwire/transport/config.hpp>
#include <gradwire/transport/proxy.hpp>
#include <gradwire/transport/secret.hpp>

namespace gradwire::inline v0 {

struct environment_endpoint {
  std::string url{};
  secret key{};                          // with the name of the variable that held it; empty: none
  std::vector<secret_header> headers{};  // of the gateway
};

// Throws error{config} when the variables name no address, contradict each other, or hold a key that cannot be one.
GRADWIRE_DECL environment_endpoint read_environment(const environment_reader& environment);

// What a program prints, without the line end. The command is split into words as a shell does it, with quotes and
// backslashes, and started directly: what only a shell could do (variables, pipes, patterns) is refused. Throws
// error{config} without a word of what was printed.
GRADWIRE_DECL std::string run_credential_command(std::string_view command, double timeout_seconds = 30);

}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/transport/impl/environment.hpp>
#endif
