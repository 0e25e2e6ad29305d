// SPDX-License-Identifier: Apache-2.0
// What can be chosen when connecting to a platform. Every member has a default.
#pragma once

#include <string>
#include <vector>

#include <gradwire/transport/http_message.hpp>
#include <gradwire/transport/policy.hpp>

namespace gradwire::inline v0 {
namespace platform {

enum class api_dialect : unsigned char {
  current,     // what Fireworks' SDK speaks in late 2026
  early_2026,  // gradient_accumulation_steps is sent, useReservation is not
};

struct client_options {
  std::string ca_file{};             // PEM file of the certificates to trust; "": the system's
  std::string proxy{};               // http://host:port; "": what HTTPS_PROXY and NO_PROXY say; "none"
  bool allow_key_over_http = false;  // also to another machine, readable by everybody on the way
  api_dialect dialect = api_dialect::current;
  std::string inference_url{};         // where completions go; "": the same address
  std::string hot_load_url{};          // …
  std::string trainer_gateway_url{};   // …
  std::vector<http_header> headers{};  // beside ours, in every request; no secrets
  double call_timeout_seconds = 300;   // of one request with all its retries
  retry_policy retry{.first_pause_seconds = 1, .longest_pause_seconds = 30};
  runtime_options connections{.max_polls = 64, .max_submits = 64};
};

}  // namespace platform
}  // namespace gradwire::inline v0
