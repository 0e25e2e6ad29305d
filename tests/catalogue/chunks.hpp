// SPDX-License-Identifier: Apache-2.0
// Chunk invariance, two ways: chunks that are each evaluated alone, with the divisors of the whole batch, add up to the
// loss of the whole and have its slopes; and parts that a trainer joins (accumulate) give what one batch gives.
//
// A chunk alone knows of the other chunks only what lets no gradient pass: counts, widths, detached means, selections.
// These are taken from the whole; everything else is computed from the chunk's own rows. A border splits whatever the
// formula does not hold together: groups, pairs and partitions only where it compares within them.
#pragma once

#include <gradwire/gradient/derivation.hpp>
#include <gradwire/trainer/accumulate.hpp>

#include <set>

#include "contract.hpp"

namespace contract {

using rows = std::vector<std::size_t>;

// Three random batches, one below the other.
inline batch_table many_rows(unsigned seed) {
  batch_table all;
  for (unsigned i = 0; i < 3; ++i) {
    batch_table more = random_batch(seed + 100 * i);
    for (const char* id : {"micro_batch", "prompt_id"})
      for (double& x : more.sequence[id]) x += 10 * i;
    for (long& x : more.group) x += 10 * i;
    for (long& x : more.pair) x += 10 * i;
    const auto append = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
    append(all.lengths, more.lengths);
    append(all.group, more.group);
    append(all.pair, more.pair);
    append(all.chosen, more.chosen);
    for (const auto& [name, column] : more.token) append(all.token[name], column);
    for (const auto& [name, column] : more.sequence) append(all.sequence[name], column);
    for (const auto& [name, column] : more.candidate) append(all.candidate[name], column);
  }
  return all;
}

inline batch_table some_rows(const batch_table& table, const rows& which) {
  batch_table some;
  const auto pick = [&](const auto& from) {
    std::decay_t<decltype(from)> to;
    for (std::size_t r : which) to.push_back(from[r]);
    return to;
  };
  some.lengths = pick(table.lengths);
  some.group = pick(table.group);
  some.pair = pick(table.pair);
  some.chosen = pick(table.chosen);
  for (const auto& [name, column] : table.token) some.token[name] = pick(column);
  for (const auto& [name, column] : table.sequence) some.sequence[name] = pick(column);
  for (const auto& [name, column] : table.candidate) some.candidate[name] = pick(column);
  return some;
}

// The smallest runs of rows that the formula lets a border keep whole; groups, pairs and partitions lie in one piece.
inline std::vector<rows> pieces_of(const subject& loss, const batch_table& table) {
  bool groups = false, parts = false;
  for (const auto& n : loss.tree.nodes) {
    groups = groups || n.level == gradwire::extent::group;
    if (n.kind != formula::node_kind::reduction) continue;
    groups = groups || n.from == gradwire::extent::group || n.to == gradwire::extent::group;
    groups = groups || (n.reduction >= formula::reduction_kind::deviation && n.over == gradwire::extent::group);
    parts = parts || n.is(formula::reduction_kind::within);
  }
  std::vector<rows> pieces;
  for (std::size_t r = 0; r < table.rows(); ++r) {
    const bool together =
        r > 0 && ((loss.row.pairs && table.pair[r] == table.pair[r - 1]) ||
                  (groups && !loss.row.pairs && table.group[r] == table.group[r - 1]) ||
                  (parts && table.sequence.at("prompt_id")[r] == table.sequence.at("prompt_id")[r - 1]));
    if (!together) pieces.emplace_back();
    pieces.back().push_back(r);
  }
  return pieces;
}

// The formula of one chunk.
class chunk_formula {
 public:
  chunk_formula(const subject& loss, const formula::interpreter& whole, const catalogue::made_batch& made)
      : from_(loss.tree),
        whole_(whole),
        active_(formula::carries_gradient(from_, from_.find_field(loss.row.variable->name))),
        place_(made.row.size()) {
    for (std::size_t s = 0; s < made.row.size(); ++s) place_[made.row[s]] = s;
  }

  // Value and slope of the rows `which`, in that order; sets `fault` where the whole is no sum over chunks.
  answer operator()(const subject& loss, const batch_table& table, const rows& which, bool first, std::string& fault) {
    const auto made = catalogue::make_batch(some_rows(table, which), loss.row.pairs);
    chunk_ = formula::table_of(made.batch);
    global_.clear();
    for (std::size_t r : made.row) global_.push_back(place_[which[r]]);
    to_ = {};
    first_ = first;
    fault_.clear();
    to_.loss = share(from_.loss);
    answer found;
    fault = fault_;
    if (!fault.empty()) return found;
    const formula::interpreter run(to_, chunk_);
    found.loss = run.loss();
    gradwire::writable_column<double> slope(made.batch.layout_handle(), loss.row.variable->level);
    const int variable = to_.find_field(loss.row.variable->name);
    if (variable < 0)
      fault = "the chunk does not read the variable";
    else
      std::copy(run.adjoint(variable).begin(), run.adjoint(variable).end(), slope.data());
    found.slope = in_rows(std::move(slope), made);
    return found;
  }

 private:
  using node_kind = formula::node_kind;
  using reduction_kind = formula::reduction_kind;
  using op_code = formula::op_code;
  static std::size_t at(int node) { return static_cast<std::size_t>(node); }
  bool active(int node) const { return active_[at(node)]; }
  double whole(int node) const { return whole_.value(node)[0]; }
  int number(double x) { return to_.add({.value = x}); }
  int refuse(const std::string& why) {
    if (fault_.empty()) fault_ = why;
    return number(0);
  }

  // What a chunk contributes to a number of the batch.
  int share(int node) {
    const auto& n = from_[node];
    auto copy = n;
    if (n.kind == node_kind::reduction && n.reduction <= reduction_kind::counted_sum) {
      copy.operand[0] = inside(n.operand[0]);
      return to_.add(copy);
    }
    if (n.is(op_code::add) || n.is(op_code::subtract)) {
      copy.operand[0] = share(n.operand[0]);
      copy.operand[1] = share(n.operand[1]);
      return to_.add(copy);
    }
    if (n.is(op_code::negate) || n.is(op_code::let) || n.is(op_code::allow) || n.is(op_code::stop_gradient)) {
      copy.operand[0] = share(n.operand[0]);
      return to_.add(copy);
    }
    if (n.is(op_code::multiply) || n.is(op_code::divide) || n.is(op_code::divide_or_zero)) {
      const bool second = n.is(op_code::multiply) && active(n.operand[1]);  // the factor that is shared out
      if (active(n.operand[second ? 0 : 1])) return refuse("a product of two sums over the batch");
      copy.operand[second ? 1 : 0] = share(n.operand[second ? 1 : 0]);
      copy.operand[second ? 0 : 1] = number(whole(n.operand[second ? 0 : 1]));
      return to_.add(copy);
    }
    if (n.is(op_code::where) && !active(n.operand[0])) {
      copy.operand[0] = number(whole(n.operand[0]));
      copy.operand[1] = share(n.operand[1]);
      copy.operand[2] = share(n.operand[2]);
      return to_.add(copy);
    }
    if (active(node)) return refuse("a number of the whole batch goes into " + words(n));
    return number(first_ ? whole(node) : 0);  // a constant of the batch: once
  }

  // A value per group or finer, of the chunk's own rows.
  int inside(int node) {
    const auto& n = from_[node];
    const bool reaches_out = n.level == gradwire::extent::batch ||
                             (n.kind == node_kind::reduction &&
                              (n.is(reduction_kind::sort) || n.is(reduction_kind::selected) ||
                               (n.reduction >= reduction_kind::deviation && n.over == gradwire::extent::batch)));
    if (reaches_out) {
      if (active(node)) return refuse("a gradient passes through " + words(n) + " of the whole batch");
      return n.level == gradwire::extent::batch ? number(whole(node)) : held(node);
    }
    auto copy = n;
    for (int i = 0; i < n.operands; ++i) copy.operand[i] = inside(n.operand[i]);
    return to_.add(copy);
  }

  // Values of the whole batch as a column of the chunk.
  int held(int node) {
    static constexpr std::string_view labels[] = {"held 0", "held 1", "held 2", "held 3", "held 4", "held 5"};
    const auto& n = from_[node];
    formula::tree_node field{
        .kind = node_kind::field, .level = n.level, .truth = n.truth, .from_tokens = n.from_tokens};
    for (std::string_view name : labels)
      if (field.name.empty() && !chunk_.find(name)) field.name = name;
    if (field.name.empty()) return refuse("more than six values of the whole batch");
    formula::table_column column{field.name, n.level, std::vector<double>(chunk_.elements(n.level), 0.0)};
    chunk_.for_each(n.level, [&](std::size_t e) { column.values[e] = whole_.value(node)[there(n.level, e)]; });
    chunk_.columns.push_back(std::move(column));
    return to_.add(field);
  }
  // The element of the whole batch that is this element of the chunk.
  std::size_t there(gradwire::extent level, std::size_t e) const {
    using gradwire::extent;
    const auto& all = whole_.data();
    if (level == extent::sequence) return global_[e];
    if (level == extent::group) return all.group_of[global_[chunk_.group_begin[e]]];
    const std::size_t k = level == extent::candidate ? e / chunk_.padded : 0;
    const std::size_t token = e - k * chunk_.padded, s = chunk_.sequence_of[token];
    return k * all.padded + all.offset[global_[s]] + (token - chunk_.offset[s]);
  }
  static std::string words(const formula::tree_node& n) {
    if (n.kind == node_kind::operation) return std::string(n.op->name);
    return n.is(reduction_kind::sort) ? "the order" : n.kind == node_kind::reduction ? "a statistic" : "a value";
  }

  const formula::tree& from_;
  const formula::interpreter& whole_;
  std::vector<bool> active_;
  std::vector<std::size_t> place_, global_;  // of a row in the whole batch; of a sequence of the chunk
  formula::table chunk_;
  formula::tree to_;
  bool first_ = true;
  std::string fault_;
};

// Chunks of random rows, not in their order.
inline verdict chunk_invariance(const subject& loss, unsigned seed) {
  const batch_table table = many_rows(seed);
  const answer whole = loss(table);
  const auto made = catalogue::make_batch(table, loss.row.pairs);
  const formula::interpreter run(loss.tree, formula::table_of(made.batch));
  chunk_formula chunk_of(loss, run, made);
  const auto pieces = pieces_of(loss, table);
  random_numbers random(seed + 5);
  for (std::size_t chunks : {std::size_t{2}, 2 + random.below(pieces.size() - 2), pieces.size()}) {
    std::vector<rows> chunk(chunks);
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      rows& to = chunk[i < chunks ? (3 * i + seed) % chunks : random.below(chunks)];
      to.insert(to.end(), pieces[i].begin(), pieces[i].end());
    }
    std::erase_if(chunk, [](const rows& each) { return each.empty(); });
    answer sum;
    sum.slope.resize(table.rows());
    for (const rows& which : chunk) {
      std::string fault;
      answer one = chunk_of(loss, table, which, &which == chunk.data(), fault);
      if (!fault.empty()) return fault;
      sum.loss += one.loss;
      for (std::size_t i = 0; i < which.size(); ++i) sum.slope[which[i]] = std::move(one.slope[i]);
    }
    if (const auto off = compare(whole, sum, 1e-11); !off.empty())
      return std::to_string(chunk.size()) + " chunks and the whole: " + off;
  }
  return "";
}

// Parts made apart and joined as for a trainer's accumulated step: the same bits as one batch.
inline std::string joined_parts(const subject& loss, unsigned seed) {
  const batch_table table = many_rows(seed);
  const answer whole = loss(table);
  const auto pieces = pieces_of(loss, table);
  random_numbers random(seed);
  std::vector<catalogue::full_batch::batch_type> parts;
  catalogue::made_batch joined{catalogue::make_batch(table, loss.row.pairs).batch, {}};
  for (std::size_t i = 0; i < pieces.size();) {
    rows which;
    for (std::size_t n = 1 + random.below(4); n > 0 && i < pieces.size(); --n, ++i)
      which.insert(which.end(), pieces[i].begin(), pieces[i].end());
    const auto made = catalogue::make_batch(some_rows(table, which), loss.row.pairs);
    for (std::size_t r : made.row) joined.row.push_back(which[r]);
    parts.push_back(made.batch);
  }
  joined.batch = catalogue::full_batch(gradwire::accumulate(parts).whole);
  const auto found = loss.row.evaluate(loss.values, joined.batch);
  return compare(whole, {found.loss, in_rows(found.slope, joined)}, 0);
}

}  // namespace contract
