// SPDX-License-Identifier: Apache-2.0
// Sampled tokens as what the completions API tells: text that is UTF-8 whatever bytes were sampled, and the logprob of
// a token under what it was drawn from.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gradwire/loopback/model/token_choice.hpp>
#include <gradwire/loopback/sampling_options.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace hosting {

// Bytes of the UTF-8 sequence at the beginning; 0: there is none, -1: the text ends within one that may become one.
inline int utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const int length = lead >= 0xc2 && lead <= 0xdf   ? 2
                     : lead >= 0xe0 && lead <= 0xef ? 3
                     : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                    : 0;
  for (int i = 1; i < length; ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (at == text.size()) return -1;
    const unsigned char least = i > 1 ? 0x80 : lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const unsigned char most = i > 1 ? 0xbf : lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (byte(at) < least || byte(at) > most) return 0;
  }
  return length;
}

// With U+FFFD for what is not UTF-8. Without `to_the_end` a sequence that may go on is left out.
inline std::string valid_utf8(std::string_view bytes, bool to_the_end = true) {
  std::string text;
  while (!bytes.empty()) {
    const int length = utf8_length(bytes);
    if (length < 0 && !to_the_end) break;
    if (length > 0)
      text += bytes.substr(0, static_cast<std::size_t>(length));
    else
      text += "\xef\xbf\xbd";
    bytes.remove_prefix(length > 0 ? static_cast<std::size_t>(length) : 1);
  }
  return text;
}

// Where the first of the texts that end a sample begins; npos where there is none.
inline std::size_t find_stop(std::string_view text, const std::vector<std::string>& stops) {
  std::size_t found = std::string_view::npos;
  for (const std::string& stop : stops) found = std::min(found, text.find(stop));
  return found;
}

inline bool draws_from_the_model(const sample_options& options, std::size_t vocabulary) {
  return options.temperature == 1 && options.top_p >= 1 &&
         (options.top_k <= 0 || static_cast<std::size_t>(options.top_k) >= vocabulary);
}

// The logprob of `token` after temperature, top-k and top-p, from the model's logprobs of all tokens: what
// token_choice.hpp draws from.
inline double behaviour_logprob(std::span<const float> logprobs, std::int32_t token, const sample_options& options) {
  if (options.temperature < least_temperature) return 0;
  std::vector<std::int32_t> order(logprobs.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int32_t>(i);
  const auto at = [&](std::int32_t id) { return static_cast<double>(logprobs[static_cast<std::size_t>(id)]); };
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return at(a) > at(b) || (at(a) == at(b) && a < b); });
  const auto weight = [&](std::int32_t id) { return std::exp((at(id) - at(order.front())) / options.temperature); };
  if (options.top_k > 0 && static_cast<std::size_t>(options.top_k) < order.size())
    order.resize(static_cast<std::size_t>(options.top_k));
  double mass = 0;
  for (const auto id : order) mass += weight(id);
  double kept = 0;
  bool among = false;
  for (const auto id : order) {
    kept += weight(id);
    among = among || id == token;
    if (options.top_p < 1 && kept >= options.top_p * mass) break;
  }
  if (!among) kept += weight(token);  // at the border, where sums in float and in double differ
  return (at(token) - at(order.front())) / options.temperature - std::log(kept);
}

}  // namespace hosting
}  // namespace loopback
}  // namespace gradwire::inline v0
