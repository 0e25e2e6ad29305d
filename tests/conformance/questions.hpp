// SPDX-License-Identifier: Apache-2.0
// Questions and answers as tokens. Any ids do, because the models are random: a byte is its own.
#pragma once

#include <gradwire/datum/batch.hpp>

#include <cstdint>
#include <string_view>
#include <vector>

namespace questions {

inline std::vector<std::int32_t> bytes(std::string_view text) {
  std::vector<std::int32_t> ids;
  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

inline auto question(std::string_view asked, std::string_view answered) {
  return gradwire::datum{gradwire::prompt(bytes(asked)) + gradwire::response(bytes(answered))};
}

}  // namespace questions
