// SPDX-License-Identifier: Apache-2.0
// Where a trainer is and the key that it wants: what an embedded trainer's endpoint() gives and connect() takes.
#pragma once

#include <string>

namespace gradwire::inline v0 {

struct endpoint {
  std::string url{};    // http://127.0.0.1:8000, https://host/prefix
  std::string token{};  // the API key; "" for a trainer that wants none
};

}  // namespace gradwire::inline v0
