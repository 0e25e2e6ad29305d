// SPDX-License-Identifier: Apache-2.0
// The formula as data: nodes that refer to their operands by index. `reflect` of tree.hpp makes it. Names are views of
// static storage.
#pragma once

#include <gradwire/gradient/op_info.hpp>
#include <vector>

namespace gradwire::inline v0 {
namespace formula {

enum class node_kind : unsigned char { constant, field, shape, operation, reduction };

// What a reduction adds up, and over which elements of `from`.
enum class reduction_kind : unsigned char {
  weighted_sum,   // Σ w·x over w ≠ 0
  unit_sum,       // Σ x over w ≠ 0
  plain_sum,      // Σ x over every element
  counted_sum,    // Σ x over the elements that have any w ≠ 0
  largest,        // over w ≠ 0, or over the elements that have any; detached
  smallest,       // as largest
  chosen,         // x of the pair's chosen sequence
  rejected,       // x of the pair's rejected sequence
  within,         // Σ x over the sequences with the same value of operand 1, a per-sequence field
  sort,           // element i has the i-th smallest x
  top_threshold,  // the max(1, ⌊operand 1 · n⌋)-th largest of the batch's n values with w ≠ 0; detached
  selected,       // per token 1 for the `operand 1` tokens with the largest x, by the hash of seed operand 2; detached
  // Of the n values x of a set, a group or the batch; sequences without any w ≠ 0 take no part where x comes from
  // tokens.
  deviation,       // √(Σ (x − mean)² / (n − ddof)), 0 where all are equal
  highest,         // detached
  lowest,          // detached
  second_highest,  // the highest again if it occurs twice, or alone; detached
  centered,        // x − mean, one a sequence
  mean_of_others,  // Σ_{j≠i} x_j / (n − 1), one a sequence
};

struct tree_node {
  node_kind kind = node_kind::constant;
  extent level = extent::batch;  // over what it is one value
  bool truth = false;            // its value is 1 or 0
  bool detached = false;         // the operation or reduction lets no gradient pass
  bool from_tokens = false;      // there is a reduction over tokens inside: no value where every w is 0
  double value = 0;              // of a constant; ddof of a deviation
  std::string_view name{};       // of a field; of an operation with the code `let`
  shape_value shape{};           // of a shape
  const op_info* op = nullptr;   // of an operation
  reduction_kind reduction{};    // of a reduction, with its two extents
  extent from = extent::batch, to = extent::batch;
  extent over = extent::batch;  // of a statistic: what is one set
  int operands = 0;
  int operand[3] = {-1, -1, -1};  // indices of nodes

  bool is(op_code code) const { return kind == node_kind::operation && op->code == code; }
  bool is(reduction_kind which) const { return kind == node_kind::reduction && reduction == which; }
  friend bool operator==(const tree_node&, const tree_node&) = default;
};

struct tree_metric {
  std::string_view name;
  int node = -1;
};
struct broken_rule {
  rule which{};
  std::string_view reason;
};

struct tree {
  std::vector<tree_node> nodes;      // operands first
  int loss = -1;                     // index of the objective
  std::vector<tree_metric> metrics;  // in the objective's order
  std::vector<broken_rule> broken;   // what the preset breaks of the contract, by its own declaration

  const tree_node& operator[](int i) const { return nodes[static_cast<std::size_t>(i)]; }
  int size() const { return static_cast<int>(nodes.size()); }
  // The index of a node like this one, which is added if there is none.
  int add(const tree_node& like) {
    for (int i = 0; i < size(); ++i)
      if (nodes[static_cast<std::size_t>(i)] == like) return i;
    nodes.push_back(like);
    return size() - 1;
  }
  // The node of a field, of a let; -1 if the formula has none of that name.
  int find_field(std::string_view name) const {
    for (int i = 0; i < size(); ++i)
      if ((*this)[i].kind == node_kind::field && (*this)[i].name == name) return i;
    return -1;
  }
  int find_let(std::string_view name) const {
    for (int i = 0; i < size(); ++i)
      if ((*this)[i].is(op_code::let) && (*this)[i].name == name) return i;
    return -1;
  }
};

}  // namespace formula
}  // namespace gradwire::inline v0
