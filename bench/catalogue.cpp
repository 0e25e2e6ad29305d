// SPDX-License-Identifier: Apache-2.0
// What a value and gradient of every loss of the catalogue costs, in double on one thread: a line of JSON a loss,
//
//   catalogue TOKENS MILLISECONDS [NAME…]    -> {"loss": "trl::dapo", "passes": 1, "reads": 4, "ns": 5.1}
//
// ns is the least time of an evaluation, of as many as fit into MILLISECONDS, divided by the tokens. The rows are those
// of evaluate_loss: examples/support/catalogue.cmake reads them from the headers, and bench/run compiles them with -O2.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "batch_table.hpp"

namespace {

using catalogue::batch_table;

// Sequences of 64 to 448 tokens, a tenth of them masked; ratios near 1; pairs and groups of two.
batch_table make_table(std::size_t tokens) {
  std::mt19937_64 random(1);
  const auto uniform = [&](double from, double to) {
    return from + (to - from) * static_cast<double>(random() >> 11) * 0x1p-53;
  };
  batch_table t;
  for (std::size_t n = 0; n < tokens || t.lengths.size() % 2; n += t.lengths.back())
    t.lengths.push_back(64 + random() % 385);
  for (std::size_t r = 0; r < t.rows(); ++r) {
    t.group.push_back(static_cast<long>(r / 2));
    t.pair.push_back(static_cast<long>(r / 2));
    t.chosen.push_back(r % 2 == 0);
  }
  for (const gradwire::field_info* f : catalogue::known_fields()) {
    const std::string name = f->name;
    const bool logprob = name.find("logprobs") != std::string::npos;
    for (std::size_t r = 0; r < t.rows(); ++r) {
      const std::size_t n = t.lengths[r];
      if (f->level == gradwire::extent::sequence) {
        t.sequence[name].push_back(name == "desirable" ? static_cast<double>(r % 2)
                                   : name == "micro_batch" || name == "prompt_id" || name == "datum_id"
                                       ? static_cast<double>(r / 2)
                                       : uniform(-1, 1));
      } else if (f->level == gradwire::extent::token) {
        auto& row = t.token[name].emplace_back(n);
        for (double& x : row)
          x = logprob                    ? uniform(-2, -0.1)
              : name == "weights"        ? (uniform(0, 1) < 0.1 ? 0 : 1)
              : name == "sum_pi_squared" ? uniform(0.05, 0.95)
                                         : uniform(-1, 1);
      } else {
        auto& row = t.candidate[name].emplace_back(n);
        for (auto& at : row)
          for (int k = 0; k < 4; ++k) at.push_back(uniform(-4, -1.4));
      }
    }
  }
  for (const char* near : {"old_logprobs", "sampler_logprobs", "ref_logprobs", "teacher_logprobs"})
    for (std::size_t r = 0; r < t.rows(); ++r)
      for (std::size_t i = 0; i < t.lengths[r]; ++i)
        t.token[near][r][i] = std::min(-0.01, t.token["logprobs"][r][i] + uniform(-0.3, 0.3));
  return t;
}

}  // namespace

int main(int count, char** words) {
  if (count < 3) {
    std::fprintf(stderr, "catalogue TOKENS MILLISECONDS [NAME…]\n");
    return 2;
  }
  const batch_table table = make_table(static_cast<std::size_t>(std::atof(words[1])));
  const double milliseconds = std::atof(words[2]);
  const auto single = catalogue::make_batch(table, false), pairs = catalogue::make_batch(table, true);
  const auto tokens = static_cast<double>(single.batch.shape().tokens());
  for (const auto& row : catalogue::presets()) {
    if (count > 3 && std::none_of(words + 3, words + count, [&](const char* name) { return row.name == name; }))
      continue;
    const auto values = catalogue::defaults(row);
    const auto& batch = row.pairs ? pairs.batch : single.batch;
    double best = INFINITY, spent = 0;
    try {
      for (int round = 0; round < 3 || spent < milliseconds * 1e6; ++round) {
        const auto begin = std::chrono::steady_clock::now();
        const auto found = row.evaluate(values, batch);
        const double ns = std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count();
        spent += ns;
        best = std::min(best, ns);
        if (!std::isfinite(found.loss)) throw gradwire::error(gradwire::errc::data, "the loss is not finite");
      }
    } catch (const gradwire::error& e) {
      std::fprintf(stderr, "%.*s: %s\n", static_cast<int>(row.name.size()), row.name.data(), e.what());
      return 1;
    }
    std::printf("{\"loss\": \"%.*s\", \"passes\": %d, \"reads\": %zu, \"ns\": %.4g}\n",
                static_cast<int>(row.name.size()), row.name.data(), row.passes, row.fields.size(), best / tokens);
    std::fflush(stdout);
  }
}
