// SPDX-License-Identifier: Apache-2.0
// Ragged random batches with every column, and what a row of the catalogue makes of one, in the rows of the table.
#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "../support/larger.hpp"
#include "batch_table.hpp"

namespace contract {

using catalogue::batch_table;
using catalogue::rows_of;

struct random_numbers {
  std::mt19937_64 bits;
  explicit random_numbers(unsigned seed) : bits(seed) {}
  double operator()(double from, double to) {  // the same on every platform
    return from + (to - from) * static_cast<double>(bits() >> 11) * 0x1p-53;
  }
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(bits() % n); }
};

inline bool is_logprob(std::string_view field) { return field.find("logprobs") != std::string_view::npos; }

// A value that a column may have, in its unit.
inline double value_for(std::string_view field, random_numbers& random) {
  if (is_logprob(field)) return random(-2.5, -0.05);
  if (field == "sum_pi_squared") return random(0.05, 0.95);
  if (field == "desirable") return static_cast<double>(random.below(2));
  return random(-1.5, 1.5);
}

// Eight rows: pairs (0, 1), (2, 3) …; groups of three, one and four. Masks have holes, and every row an unmasked token.
inline batch_table random_batch(unsigned seed) {
  random_numbers random(seed);
  batch_table t;
  const std::size_t rows = 8, k = 3;
  for (std::size_t r = 0; r < rows; ++r) t.lengths.push_back(1 + random.below(9) + (r == 0 ? 12 : 0));
  t.group = {0, 0, 0, 1, 2, 2, 2, 2};
  t.pair = {0, 0, 1, 1, 2, 2, 3, 3};
  t.chosen = {1, 0, 0, 1, 1, 0, 0, 1};
  for (const gradwire::field_info* f : catalogue::known_fields()) {
    const std::string name = f->name;
    for (std::size_t r = 0; r < rows; ++r) {
      if (f->level == gradwire::extent::sequence) {
        t.sequence[name].push_back(value_for(name, random));
      } else if (f->level == gradwire::extent::token) {
        auto& row = t.token[name].emplace_back();
        for (std::size_t i = 0; i < t.lengths[r]; ++i) row.push_back(value_for(name, random));
      } else {
        auto& row = t.candidate[name].emplace_back();
        for (std::size_t i = 0; i < t.lengths[r]; ++i) {
          auto& at = row.emplace_back();
          for (std::size_t c = 0; c < k; ++c) at.push_back(random(-4, -1.2));
        }
      }
    }
  }
  t.sequence["micro_batch"] = {0, 0, 0, 1, 2, 2, 2, 2};
  t.sequence["prompt_id"] = {0, 0, 0, 1, 2, 2, 2, 2};
  t.sequence["desirable"] = {1, 0, 0, 1, 1, 0, 0, 1};
  for (std::size_t r = 0; r < rows; ++r) {
    auto& weights = t.token["weights"][r];
    for (double& w : weights) w = random(0, 1) < 0.25 ? 0 : 1;
    weights[random.below(weights.size())] = 1;
    // The other models are near the trainer's: ratios from 0.4 to 2.5.
    for (const char* near : {"old_logprobs", "sampler_logprobs", "ref_logprobs", "teacher_logprobs"})
      for (std::size_t i = 0; i < t.lengths[r]; ++i)
        t.token[near][r][i] = std::min(-0.01, t.token["logprobs"][r][i] + random(-0.9, 0.9));
    for (double& a : t.token["token_advantage"][r]) a = t.sequence["advantage"][r];
  }
  return t;
}

struct answer {
  double loss = 0;
  rows_of<double> slope;  // [row][token · K + k], [row][token] or [row][0]

  double largest() const {  // NaN if a slope is
    double most = 0;
    for (const auto& row : slope)
      for (double x : row) most = larger(most, std::abs(x));
    return most;
  }
};

// The values of a column in the rows of the table; row: of each sequence.
template <class T>
rows_of<T> in_rows(const gradwire::column<T>& column, const std::vector<std::size_t>& row_of) {
  rows_of<T> rows(row_of.size());
  for (std::size_t s = 0; s < row_of.size(); ++s) {
    auto& row = rows[row_of[s]];
    if (column.level() == gradwire::extent::sequence) {
      row = {column.data()[s]};
    } else if (column.level() == gradwire::extent::token) {
      row.assign(column[s].begin(), column[s].end());
    } else {
      for (std::size_t t = 0; t < column.shape().length[s]; ++t)
        for (std::size_t k = 0; k < column.shape().candidates(); ++k) row.push_back(column.plane(s, k)[t]);
    }
  }
  return rows;
}
inline rows_of<double> in_rows(const gradwire::column<double>& column, const catalogue::made_batch& made) {
  return in_rows(column, made.row);
}

inline answer evaluate(const catalogue::preset_row& row, std::span<const double> values, const batch_table& table) {
  const auto made = catalogue::make_batch(table, row.pairs);
  const auto found = row.evaluate(values, made.batch);
  return {found.loss, in_rows(found.slope, made)};
}

}  // namespace contract
