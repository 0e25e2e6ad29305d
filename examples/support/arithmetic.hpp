// SPDX-License-Identifier: Apache-2.0
// The task of the quickstart: additions of numbers below 100, as text, one byte a token. All 10,000 questions exist
// once and are dealt out by the seed, so that what is tested is disjoint from what is trained on.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace arithmetic {

inline constexpr std::int32_t end_of_answer = 258;  // <|im_end|> of gradwire/tiny

struct question {
  std::string text, answer;  // "37+45=", "82"
  std::vector<std::int32_t> prompt;
  std::vector<std::int32_t> response;  // the answer's bytes and end_of_answer
};

inline question ask(int a, int b) {
  question q{.text = std::to_string(a) + "+" + std::to_string(b) + "=",
             .answer = std::to_string(a + b),
             .prompt = {},
             .response = {}};
  q.prompt.assign(q.text.begin(), q.text.end());
  q.response.assign(q.answer.begin(), q.answer.end());
  q.response.push_back(end_of_answer);
  return q;
}

// The text of sampled tokens, up to the end of the answer.
inline std::string text_of(std::span<const std::int32_t> tokens) {
  std::string text;
  for (const std::int32_t token : tokens) {
    if (token == end_of_answer) return text;
    text += token < 128 && token >= 32 ? static_cast<char>(token) : '?';
  }
  return text + "…";
}

// The verifiable reward: 1 for exactly the right answer, ended; else 0.
inline double reward(const question& q, std::span<const std::int32_t> tokens) {
  return std::equal(tokens.begin(), tokens.end(), q.response.begin(), q.response.end()) ? 1 : 0;
}

struct questions {
  std::vector<question> held_out;    // 500, for the three figures of the last line and nothing else
  std::vector<question> validation;  // says when supervised training ends
  std::vector<question> training;

  explicit questions(std::uint64_t seed) {
    std::vector<question> all;
    for (int a = 0; a < 100; ++a)
      for (int b = 0; b < 100; ++b) all.push_back(ask(a, b));
    std::mt19937_64 random(seed);
    for (std::size_t i = all.size(); i > 1; --i)
      std::swap(all[i - 1], all[random() % i]);  // the same on every platform
    held_out.assign(all.begin(), all.begin() + 500);
    validation.assign(all.begin() + 500, all.begin() + 756);
    training.assign(all.begin() + 756, all.end());
  }
};

}  // namespace arithmetic
