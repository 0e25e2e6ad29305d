// SPDX-License-Identifier: Apache-2.0
// Which words of the language a part of a formula::tree was written with: a mean is a quotient in the tree and one call
// in the source.
#pragma once

#include <gradwire/gradient/tree.hpp>

namespace gradwire::inline v0 {
namespace formula {

inline std::string_view name_of(shape_value what) {
  constexpr std::string_view names[] = {"position",       "weight_sum",        "weight_count", "sequence_length",
                                        "group_size",     "counted_size",      "total_weight", "total_count",
                                        "sequence_count", "counted_sequences", "group_count",  "counted_groups"};
  return names[static_cast<unsigned>(what)];
}

// `name(operands…)`; no name: not a call of the language's reductions.
struct call {
  std::string_view name{};
  int operand[3] = {-1, -1, -1};
  int operands = 0;
  std::string_view divisor{};  // what a mean divides by, for people
};

// Reading a tree: short questions about the node at an index.
class tree_reader {
 public:
  explicit tree_reader(const tree& formula) : tree_(formula) {}
  const tree_node& operator[](int i) const { return tree_[i]; }
  bool is(int i, op_code code) const { return tree_[i].is(code); }
  bool is(int i, reduction_kind kind, extent from, extent to) const {
    return tree_[i].is(kind) && tree_[i].from == from && tree_[i].to == to;
  }
  bool is(int i, shape_value what) const { return tree_[i].kind == node_kind::shape && tree_[i].shape == what; }
  bool is_constant(int i) const { return tree_[i].kind == node_kind::constant; }
  bool is_number(int i, double x) const { return is_constant(i) && tree_[i].value == x; }
  int operand(int i, int which = 0) const { return tree_[i].operand[which]; }
  // A sum that the language's rule makes: over what has tokens, if x comes from tokens.
  bool is_sum(int i, extent from, extent to) const {
    if (tree_[i].kind != node_kind::reduction || tree_[i].from != from || tree_[i].to != to) return false;
    return tree_[i].is(tree_[operand(i)].from_tokens ? reduction_kind::counted_sum : reduction_kind::plain_sum);
  }

  // What is written for a node: what only states a role, lifts a lint, or counts a truth as 1 is its operand.
  int shown(int i) const {
    while (is(i, op_code::as_number) || is(i, op_code::allow)) i = operand(i);
    return i;
  }
  call read(int i) const {
    const tree_node& n = tree_[i];
    if (n.kind == node_kind::reduction) return reduction_call(i);
    if (n.is(op_code::divide_or_zero) || n.is(op_code::divide)) return mean_call(n.operand[0], n.operand[1]);
    if (n.is(op_code::less_equal) && tree_[n.operand[0]].is(reduction_kind::top_threshold) &&
        operand(n.operand[0]) == n.operand[1] && is(n.operand[1], op_code::stop_gradient))
      return {"top_fraction_over_batch", {operand(n.operand[1]), operand(n.operand[0], 1)}, 2, {}};
    if (n.is(op_code::less) && tree_[n.operand[1]].is(reduction_kind::selected) && is_number(n.operand[0], 0.5))
      return selection_call(n.operand[1]);
    if (n.is(op_code::mean_where)) return where_call(n.operand[0], n.operand[1]);
    return {};
  }

 private:
  static constexpr extent token = extent::token, sequence = extent::sequence, group = extent::group,
                          batch = extent::batch;

  static call one(std::string_view name, int x, std::string_view divisor = {}) { return {name, {x}, 1, divisor}; }

  call reduction_call(int i) const {
    const tree_node& n = tree_[i];
    const int x = n.operand[0];
    switch (n.reduction) {
      case reduction_kind::weighted_sum:
        return one("sum_over_tokens", x);
      case reduction_kind::unit_sum:
        return one("sum_over_tokens_unweighted", x);
      case reduction_kind::chosen:
        return one("chosen", x);
      case reduction_kind::rejected:
        return one("rejected", x);
      case reduction_kind::within:
        return {"sum_within", {n.operand[1], x}, 2, {}};
      case reduction_kind::sort:
        return one("sort_over_batch", x);
      case reduction_kind::top_threshold:
        return {"top_threshold_over_batch", {x, n.operand[1]}, 2, {}};
      case reduction_kind::largest:
        return one(n.from == extent::candidate ? "max_over_candidates"
                   : n.from == token           ? "max_over_tokens"
                                               : "max_over_sequences",
                   x);
      case reduction_kind::smallest:
        return one(n.from == token ? "min_over_tokens" : "min_over_sequences", x);
      case reduction_kind::plain_sum:
        if (n.from == extent::candidate) return one("sum_over_candidates", x);
        if (n.from == token) return one("sum_over_positions", x);
        break;
      case reduction_kind::counted_sum:
        break;
      case reduction_kind::selected:
        return {"selected_over_batch", {x, n.operand[1], n.operand[2]}, 3, {}};
      default:
        return one(statistic_name(n), x);
    }
    if (n.from == sequence && n.to == batch && is_sum(i, sequence, batch) &&
        is(x, reduction_kind::weighted_sum, token, sequence))
      return one("sum_over_all_tokens", operand(x));
    if (n.is(reduction_kind::plain_sum) && tree_[x].from_tokens)  // also of what the language would leave out
      return one(n.from == group ? "sum_over_every_group"
                 : n.to == group ? "sum_over_every_sequence_of_group"
                                 : "sum_over_every_sequence",
                 x);
    return one(n.from == group ? "sum_over_groups" : n.to == group ? "sum_over_group" : "sum_over_sequences", x);
  }
  static std::string_view statistic_name(const tree_node& n) {
    const bool group_wide = n.over == group;
    switch (n.reduction) {
      case reduction_kind::deviation:
        if (n.value == 0) return group_wide ? "std_over_group<0>" : "std_over_sequences<0>";
        return group_wide ? "std_over_group<1>" : "std_over_sequences<1>";
      case reduction_kind::highest:
        return group_wide ? "max_over_group" : "max_over_every_sequence";
      case reduction_kind::lowest:
        return group_wide ? "min_over_group" : "min_over_every_sequence";
      case reduction_kind::second_highest:
        return group_wide ? "second_largest_over_group" : "second_largest_over_sequences";
      case reduction_kind::centered:
        return group_wide ? "centered_over_group" : "centered_over_sequences";
      default:
        return group_wide ? "leave_one_out_mean" : "leave_one_out_mean_over_sequences";
    }
  }

  call mean_call(int sum, int by) const {
    const auto is_token_sum = [&](int i, reduction_kind kind) { return is(i, kind, token, sequence); };
    if (is_token_sum(sum, reduction_kind::weighted_sum)) {
      if (is(by, shape_value::weight_sum))
        return one("mean_over_tokens", operand(sum), "the sum of the sequence's weights");
      if (is(by, shape_value::weight_count))
        return one("mean_over_tokens_by_count", operand(sum),
                   "the number of the sequence's tokens with a weight other than 0");
    }
    if (is_sum(sum, sequence, batch)) {
      const int x = operand(sum);
      if (is_token_sum(x, reduction_kind::weighted_sum)) {
        if (is(by, shape_value::total_weight))
          return one("mean_over_all_tokens", operand(x), "the sum of all weights of the batch");
        if (is(by, shape_value::total_count))
          return one("mean_over_all_tokens_by_count", operand(x),
                     "the number of the batch's tokens with a weight other than 0");
      }
      if (is(by, shape_value::counted_sequences) && tree_[x].from_tokens)
        return one("mean_over_sequences", x, "the number of sequences with any weight other than 0");
      if (is(by, shape_value::sequence_count))
        return one(tree_[x].from_tokens ? "mean_over_sequences<all_masked::counts>" : "mean_over_sequences", x,
                   "the number of sequences, all-masked ones too");
      if (is_token_sum(x, reduction_kind::unit_sum) && is_sum(by, sequence, batch) &&
          is_token_sum(operand(by), reduction_kind::unit_sum))
        return weighted_mean("mean_over_all_tokens", operand(x), operand(operand(by)),
                             "the batch's sum of that weight");
    }
    if (is_token_sum(sum, reduction_kind::unit_sum) && is_token_sum(by, reduction_kind::unit_sum))
      return weighted_mean("mean_over_tokens", operand(sum), operand(by), "the sequence's sum of that weight");
    if (is_sum(sum, sequence, group) &&
        is(by, tree_[operand(sum)].from_tokens ? shape_value::counted_size : shape_value::group_size))
      return one("mean_over_group", operand(sum), "the number of the group's sequences");
    if (is_sum(sum, group, batch) &&
        is(by, tree_[operand(sum)].from_tokens ? shape_value::counted_groups : shape_value::group_count))
      return has_pairs() ? one("mean_over_pairs", operand(sum), "the number of pairs")
                         : one("mean_over_groups", operand(sum), "the number of groups");
    return within_call(sum, by);
  }
  bool has_pairs() const {
    for (const tree_node& n : tree_.nodes)
      if (n.is(reduction_kind::chosen) || n.is(reduction_kind::rejected)) return true;
    return false;
  }
  call weighted_mean(std::string_view name, int product, int weight, std::string_view divisor) const {
    if (!is(product, op_code::multiply) || operand(product, 1) != weight) return {};
    return {name, {operand(product), weight}, 2, divisor};
  }
  call within_call(int sum, int by) const {
    if (tree_[sum].is(reduction_kind::within) && tree_[by].is(reduction_kind::within) &&
        operand(sum, 1) == operand(by, 1) && is(operand(sum), reduction_kind::weighted_sum, token, sequence) &&
        is(operand(by), shape_value::weight_sum))
      return {"mean_over_tokens_within", {operand(sum, 1), operand(operand(sum))}, 2, "the part's sum of weights"};
    const auto is_plain = [&](int i) { return is(i, reduction_kind::plain_sum, sequence, batch); };
    if (!is_plain(sum) || !is_plain(by)) return {};
    const int product = operand(sum), share = operand(by);  // share: 1 / (number of sequences in the part)
    if (!is(product, op_code::multiply) || operand(product, 1) != share || !is(share, op_code::divide)) return {};
    const int part = operand(share, 1);
    if (!is_number(operand(share), 1) || !tree_[part].is(reduction_kind::within) || !is_one(operand(part))) return {};
    return {"mean_over_parts", {operand(part, 1), operand(product)}, 2, "the number of parts"};
  }
  call selection_call(int i) const {
    const int x = operand(i), count = operand(i, 1), seed = operand(i, 2);
    if (is(x, op_code::where) && is_number(operand(x, 1), 0) && is_number(operand(x, 2), -__builtin_inf()))
      return {"smallest_hash_over_batch", {operand(x), count, seed}, 3, {}};
    return {"top_count_over_batch", {x, count, seed}, 3, {}};
  }
  // A mean over what a condition holds for.
  call where_call(int sum, int by) const {
    int x = operand(sum), ones = operand(by);
    const bool tokens = is(x, reduction_kind::weighted_sum, token, sequence);
    if (tokens) x = operand(x), ones = operand(ones);
    if (!is(x, op_code::where) || !is(ones, op_code::where)) return {};
    return {tokens ? "mean_over_all_tokens_where" : "mean_over_sequences_where",
            {operand(x, 1), operand(x)},
            2,
            tokens ? "the sum of the weights where it holds" : "the number of sequences where it holds"};
  }
  bool is_one(int i) const {  // 0 · length + 1: one a sequence
    return is(i, op_code::add) && is_number(operand(i, 1), 1) && is(operand(i), op_code::multiply) &&
           is_number(operand(operand(i)), 0);
  }

  const tree& tree_;
};

}  // namespace formula
}  // namespace gradwire::inline v0
