// SPDX-License-Identifier: Apache-2.0
// Reads a golden file that names its batches (written by upstream.py) into golden_case:
//   {"about": text, "batches": {name: {column: rows or numbers, "group_sizes": […], "candidates": K}},
//    "cases": [{"name", "loss", "batch", "parameters": {…}, "wrt", "value", "slope", "metrics": {…}, "tolerance",
//    "note"}]}
// A column with a row a sequence is per token (with rows of rows: per candidate), one with a number a sequence is per
// sequence.
#pragma once

#include "golden.hpp"

namespace golden {

inline void add_columns(golden_case& c, const node& batch) {
  for (const auto& [name, values] : batch.fields) {
    if (name == "group_sizes")
      fill(c.group_sizes, values);
    else if (name == "candidates")
      fill(c.candidates, values);
    else if (values.items.empty() || values.items[0].type != node::kind::array)
      fill(c.sequence[name], values);
    else if (values.items[0].items[0].type == node::kind::array)
      fill(c.candidate[name], values);
    else
      fill(c.token[name], values);
  }
}

inline std::vector<golden_case> read_with_batches(const std::string& file) {
  std::vector<golden_case> cases;
  const node root = parse(text_of(file));
  for (const node& item : root["cases"].items) {
    golden_case c;
    fill(c.name, item["name"]);
    fill(c.loss, item["loss"]);
    fill(c.wrt, item["wrt"]);
    fill(c.note, item["note"]);
    fill(c.parameters, item["parameters"]);
    fill(c.metrics, item["metrics"]);
    fill(c.tolerance, item["tolerance"]);
    add_columns(c, root["batches"][item["batch"].text]);
    fill(c.value, item["value"]);
    const node& slope = item["slope"];
    if (c.candidate.count(c.wrt) != 0)
      fill(c.candidate_slope, slope);
    else if (c.sequence.count(c.wrt) != 0)
      fill(c.slope.emplace_back(), slope);
    else
      fill(c.slope, slope);
    cases.push_back(c);
  }
  return cases;
}

inline double size_of(double x) { return x < 0 ? -x : x; }
inline double largest(double x) { return size_of(x); }
template <class T>
double largest(const std::vector<T>& values) {
  double most = 0;
  for (const T& each : values) most = largest(each) > most ? largest(each) : most;
  return most;
}

}  // namespace golden
