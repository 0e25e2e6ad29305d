// SPDX-License-Identifier: Apache-2.0
// What a Python program wrote into DATA.json for its other half in gradwire: samples in groups, pairs of chosen and
// rejected answers.
#pragma once

#include "../golden/golden.hpp"

#include <gradwire/datum/batch.hpp>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace given {

inline golden::node read(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return golden::parse(std::string{std::istreambuf_iterator<char>(file), {}});
}

template <class T>
std::vector<T> numbers_of(const golden::node& from) {
  std::vector<T> values;
  for (const golden::node& item : from.items) values.push_back(static_cast<T>(item.as_double()));
  return values;
}

inline auto datum_of(const golden::node& d) {
  using namespace gradwire::fields;
  return gradwire::datum{gradwire::prompt(numbers_of<std::int32_t>(d["tokens"])),
                         weights = numbers_of<float>(d["weights"]), old_logprobs = numbers_of<float>(d["old_logprobs"]),
                         ref_logprobs = numbers_of<float>(d["ref_logprobs"]), advantage = d["advantage"].as_double()};
}

inline auto samples_of(const golden::node& data) {
  std::vector<decltype(datum_of(data))> members;
  std::vector<decltype(gradwire::group(members))> groups;
  for (const golden::node& d : data["samples"].items) {
    members.push_back(datum_of(d));
    if (members.size() < data["group_size"].as_size()) continue;
    groups.push_back(gradwire::group(members));
    members.clear();
  }
  return gradwire::batch(groups);
}

inline auto pairs_of(const golden::node& data) {
  const auto pair = [](const golden::node& good, const golden::node& bad) {
    return gradwire::group(gradwire::chosen(datum_of(good)), gradwire::rejected(datum_of(bad)));
  };
  const std::vector<golden::node>& items = data["pairs"].items;
  std::vector<decltype(pair(data, data))> pairs;
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) pairs.push_back(pair(items[i], items[i + 1]));
  return gradwire::batch(pairs);
}

}  // namespace given
