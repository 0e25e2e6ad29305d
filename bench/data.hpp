// SPDX-License-Identifier: Apache-2.0
// The data of every measurement: N tokens in sequences of 200 to 2000, whose first 10 to 150 tokens are masked, with
// logprobs as training sees them: most ratios near 1, 3 % far off, so that clipping happens on both sides. The same
// numbers for the library, the hand-written kernels and (written to files) the peers in Python.
#pragma once

#include <cmath>
#include <cstdio>
#include <fstream>
#include <random>
#include <string>
#include <vector>

namespace bench {

struct data_set {
  std::vector<std::size_t> length;                     // tokens of each sequence; an even number of sequences
  std::vector<double> logprobs, old, reference, mask;  // one after another, no padding
  std::vector<double> advantage;                       // per sequence

  std::size_t tokens() const { return logprobs.size(); }
};

inline data_set make_data(std::size_t tokens) {
  data_set d;
  std::mt19937_64 random(tokens);
  std::normal_distribution<double> normal;
  std::exponential_distribution<double> exponential(1 / 0.6);
  std::uniform_real_distribution<double> uniform;
  std::size_t total = 0;
  while (total < tokens) {
    const std::size_t n = std::min<std::size_t>(200 + random() % 1801, tokens - total);
    d.length.push_back(n);
    total += n;
  }
  if (d.length.size() % 2 != 0) {  // preference pairs need two: split the first
    const std::size_t half = d.length[0] / 2;
    d.length[0] -= half;
    d.length.push_back(half);
  }
  for (const std::size_t n : d.length) {
    const std::size_t masked = std::min<std::size_t>(n / 2, 10 + random() % 141);
    d.advantage.push_back(normal(random));
    for (std::size_t t = 0; t < n; ++t) {
      const double now = -exponential(random) - 1e-4;
      d.logprobs.push_back(now);
      d.old.push_back(now + (uniform(random) < 0.03 ? 0.5 : 0.08) * normal(random));
      d.reference.push_back(now + 0.15 * normal(random));
      d.mask.push_back(t < masked ? 0 : 1);
    }
  }
  return d;
}

// FOLDER/N.NAME: raw doubles, and N.length as doubles too.
inline void write_data(const data_set& d, const std::string& folder) {
  const auto write = [&](const char* name, const auto& values) {
    std::vector<double> doubles(values.begin(), values.end());
    std::ofstream file(folder + "/" + std::to_string(d.tokens()) + "." + name, std::ios::binary);
    file.write(reinterpret_cast<const char*>(doubles.data()),
               static_cast<std::streamsize>(doubles.size() * sizeof(double)));
  };
  write("logprobs", d.logprobs);
  write("old", d.old);
  write("reference", d.reference);
  write("mask", d.mask);
  write("advantage", d.advantage);
  write("length", d.length);
}

}  // namespace bench
