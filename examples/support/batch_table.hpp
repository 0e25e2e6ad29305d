// SPDX-License-Identifier: Apache-2.0
// A batch of the catalogue before it is one: columns by name, rows as the user gave them. Only what is there was given,
// so a loss that reads a column which is not there is refused by name instead of reading zeros.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "catalogue.hpp"

namespace catalogue {

template <class T>
using rows_of = std::vector<std::vector<T>>;

struct batch_table {
  std::vector<std::size_t> lengths;                               // targets of each row
  std::map<std::string, rows_of<double>> token;                   // [row][token] by field name; weights: 0 masks
  std::map<std::string, std::vector<double>> sequence;            // [row]
  std::map<std::string, std::vector<rows_of<double>>> candidate;  // [row][token][k]
  std::vector<long> group;                                        // label of each row; empty: every row alone
  std::vector<long> pair;   // label of each row's pair; empty: rows 0 and 1, 2 and 3 …
  std::vector<int> chosen;  // 1: the pair's chosen row; empty: its first row
  rows_of<int> tokens;      // target ids; empty: 0, 1, 2 …

  std::size_t rows() const { return lengths.size(); }
  std::size_t candidates() const;  // K, 0 if there are none
  bool has(std::string_view field) const;
};

struct made_batch {
  full_batch batch;
  std::vector<std::size_t> row;  // sequence s of the batch is row[s] of the table
};

// pairs: the loss compares chosen with rejected. Throws error (errc::data).
made_batch make_batch(const batch_table& table, bool pairs);
// What it is made of, for a batch of another number; order: the table's row of each sequence.
std::vector<gradwire::datum_group<all_fields>> make_groups(const batch_table& table, bool pairs,
                                                           std::vector<std::size_t>& order);

// Throws error (errc::data) that names every column which is read and missing, with the key that gives it.
void require_columns(const row& of, const batch_table& table);

// The key of a batch file that gives a field: logp for logprobs.
std::string_view key_of(std::string_view field);

// All fields that a batch may have, weights too.
std::vector<const gradwire::field_info*> known_fields();

}  // namespace catalogue
