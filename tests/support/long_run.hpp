// SPDX-License-Identifier: Apache-2.0
// Whether this is tests/run --long: GRADWIRE_LONG in the environment, and neither empty nor 0.
#pragma once

#include <cstdlib>
#include <string_view>

inline bool is_long_run() {
  const char* const text = std::getenv("GRADWIRE_LONG");
  return text != nullptr && *text != '\0' && std::string_view(text) != "0";
}
