// SPDX-License-Identifier: Apache-2.0
// Mutations as fuzzers do them, from a seed that is always the same: bits, bytes, numbers at their edges, pieces left
// out, doubled, moved and taken from another input.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace fuzz {

class mutator {
 public:
  explicit mutator(std::uint64_t seed) : random_(seed) {}

  std::string mutated(const std::vector<std::string>& inputs) {
    std::string text = inputs[below(inputs.size())];
    for (std::size_t changes = 1 + below(4); changes != 0; --changes) change(text, inputs[below(inputs.size())]);
    if (text.size() > 4096) text.resize(4096);
    return text;
  }

 private:
  std::size_t below(std::size_t bound) { return bound == 0 ? 0 : static_cast<std::size_t>(random_() % bound); }

  void change(std::string& text, const std::string& other) {
    static constexpr std::uint64_t edges[] = {0,
                                              1,
                                              0x7f,
                                              0x80,
                                              0xff,
                                              0x7fff,
                                              0xffff,
                                              0x7fffffff,
                                              0x80000000,
                                              0xffffffff,
                                              0x7fffffffffffffff,
                                              0x8000000000000000,
                                              0xffffffffffffffff};
    static const std::string words[] = {"\"",  "{",       "}",     "[",  "]",       ",",
                                        ":",   "null",    "1e999", "-1", "\r\n",    "\n",
                                        " ",   "\\u0000", "0x3",   "+1", "chunked", "9223372036854775808",
                                        "NaN", "../",     "%2e%2e"};
    const std::size_t at = below(text.size() + 1);
    const std::size_t count = std::min(text.size() - at, 1 + below(16));
    switch (below(9)) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
        break;
      case 1:
        if (at < text.size()) text[at] = static_cast<char>(random_());
        break;
      case 2:
        text.erase(at, count);
        break;
      case 3:
        text.insert(at, text.substr(at, count));
        break;
      case 4: {
        const std::uint64_t edge = edges[below(std::size(edges))];
        const std::size_t bytes = std::size_t{1} << below(4);
        for (std::size_t i = 0; i < bytes && at + i < text.size(); ++i)
          text[at + i] = static_cast<char>(edge >> (8 * i));
        break;
      }
      case 5:
        text.insert(at, words[below(std::size(words))]);
        break;
      case 6:
        text.resize(at);
        break;
      case 7: {
        const std::size_t from = below(other.size() + 1);
        text.insert(at, other.substr(from, 1 + below(64)));
        break;
      }
      default:
        text.insert(at, 1 + below(8), static_cast<char>(random_()));
    }
  }

  std::mt19937_64 random_;
};

}  // namespace fuzz
