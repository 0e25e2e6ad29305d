// SPDX-License-Identifier: Apache-2.0
// A formula, its metrics and its derivative as lines `name = …`, each of what earlier lines named: the lets, the
// adjoints g1, g2, …, and x1, x2, … for longer parts that occur more than once without a let.
#pragma once

#include <gradwire/gradient/derivative.hpp>
#include <gradwire/gradient/formula_text.hpp>

namespace gradwire::inline v0 {
namespace formula {

struct formula_line {
  int node = -1;     // what the name stands for
  std::string name;  // "ratio", "L", "dL/dlogprobs"
  std::string text;  // of the right side
  extent level = extent::batch;
};

class listing {
 public:
  explicit listing(derivation d)
      : d_(std::move(d)), names_(d_.formula.nodes.size()), taken_(names_.size(), false), written_(taken_) {
    for (int i = 0; i < tree().size(); ++i) {
      if (!tree()[i].is(op_code::let)) continue;
      name(i) = std::string(tree()[i].name);
      const tree_node& body = tree()[tree()[i].operand[0]];
      if (body.operands > 0 && !body.is(op_code::let)) name(tree()[i].operand[0]) = name(i);
    }
    std::vector<int> metrics;
    for (const tree_metric& metric : tree().metrics) metrics.push_back(metric.node);
    name_repeated({tree().loss, d_.slope});
    name_long({tree().loss, d_.slope});
    name_repeated(metrics);
    metrics.insert(metrics.begin(), {tree().loss, d_.slope});
    renumber(metrics);
    take(tree().loss, "L", formula_);
    name(tree().loss) = "L";
    if (d_.variable >= 0) take(d_.slope, "dL/d" + std::string(tree()[d_.variable].name), derivative_);
    for (const tree_metric& metric : tree().metrics) take(metric.node, "metric " + std::string(metric.name), metrics_);
  }

  const derivation& derived() const { return d_; }
  const std::vector<formula_line>& formula() const { return formula_; }
  const std::vector<formula_line>& metrics() const { return metrics_; }
  const std::vector<formula_line>& derivative() const { return derivative_; }
  const std::vector<std::string>& names() const { return names_; }  // of nodes
  // What a line says, in the names of the lines.
  std::string text(int node) const { return text_writer(tree(), &names_)(node); }

  // The nodes that the text of a node consists of.
  std::vector<int> parts(int node) const {
    if (const int other = tree_reader(tree()).shown(node); other != node) return {other};
    const tree_node& n = tree()[node];
    if ((n.is(op_code::k1) || n.is(op_code::k3)) && tree()[n.operand[0]].is(op_code::subtract))
      return {tree()[n.operand[0]].operand[0], tree()[n.operand[0]].operand[1]};
    const call c = tree_reader(tree()).read(node);
    if (!c.name.empty()) return {c.operand, c.operand + c.operands};
    return {n.operand, n.operand + n.operands};
  }

 private:
  using tree_type = formula::tree;
  const tree_type& tree() const { return d_.formula; }
  std::string& name(int i) { return names_[static_cast<std::size_t>(i)]; }

  // x1, x2, …: what is written more than once and is long, and is not written elsewhere yet.
  void name_repeated(const std::vector<int>& roots) {
    std::vector<int> readers(names_.size(), 0);
    std::vector<bool> seen(names_.size(), false);
    for (const int root : roots) count_readers(root, readers, seen);
    for (int i = 0; i < tree().size(); ++i) {
      const int saved = readers[static_cast<std::size_t>(i)] - 1;
      if (saved < 1 || written_[static_cast<std::size_t>(i)] || !may_be_named(i)) continue;
      if (static_cast<std::size_t>(saved) * text(i).size() >= 24) give_name(i);
    }
    for (std::size_t i = 0; i < seen.size(); ++i) written_[i] = written_[i] || seen[i];
  }
  bool may_be_named(int i) const {
    const tree_node& n = tree()[i];
    return names_[static_cast<std::size_t>(i)].empty() && n.operands > 0 && !n.is(op_code::negate) &&
           i != tree().loss && i != d_.slope && tree_reader(tree()).shown(i) == i;
  }
  void give_name(int i) {
    numbered_.push_back(i);
    name(i) = "x" + std::to_string(numbered_.size());
  }
  // Numbers in the order in which the lines come.
  void renumber(const std::vector<int>& roots) {
    std::vector<bool> seen(names_.size(), false);
    int next = 0;
    for (const int root : roots) renumber(root, seen, next);
  }
  void renumber(int i, std::vector<bool>& seen, int& next) {
    if (seen[static_cast<std::size_t>(i)]) return;
    seen[static_cast<std::size_t>(i)] = true;
    for (const int part : parts(tree()[i].is(op_code::let) ? tree()[i].operand[0] : i)) renumber(part, seen, next);
    for (const int each : numbered_) {
      if (each != i) continue;
      do name(i) = "x" + std::to_string(++next);
      while (tree().find_let(name(i)) >= 0 || tree().find_field(name(i)) >= 0);
    }
  }
  void count_readers(int i, std::vector<int>& readers, std::vector<bool>& seen) const {
    ++readers[static_cast<std::size_t>(i)];
    const bool passes = tree()[i].is(op_code::negate) || tree_reader(tree()).shown(i) != i;
    if (seen[static_cast<std::size_t>(i)] && !passes) return;
    seen[static_cast<std::size_t>(i)] = true;
    for (const int part : parts(i)) count_readers(part, readers, seen);
  }

  // What is too long for three lines is cut at its longest part that fits into one.
  void name_long(std::vector<int> roots) {
    for (int i = 0; i < tree().size(); ++i)
      if (!name(i).empty()) roots.push_back(i);
    for (std::size_t r = 0; r < roots.size() && roots.size() < 200; ++r) {
      while (text_writer(tree(), &names_).definition(roots[r]).size() > 240) {
        const int part = longest_part(roots[r], 100);
        if (part < 0) break;
        give_name(part);
        roots.push_back(part);
      }
    }
  }
  int longest_part(int i, std::size_t most) const {
    int best = -1;
    std::size_t longest = 40;
    for (const int part : parts(i)) {
      if (!names_[static_cast<std::size_t>(part)].empty()) continue;
      const std::size_t size = text(part).size();
      const int found = size <= most && may_be_named(part) ? part : longest_part(part, most);
      if (found >= 0 && text(found).size() > longest) best = found, longest = text(found).size();
    }
    return best;
  }

  // The lines that a root needs and that are not there yet, and its own.
  void take(int root, std::string called, std::vector<formula_line>& to) {
    add_names(root, to);
    to.push_back({root, std::move(called), text(root), tree()[root].level});
  }
  void add_names(int i, std::vector<formula_line>& to) {
    if (taken_[static_cast<std::size_t>(i)]) return;
    taken_[static_cast<std::size_t>(i)] = true;
    const int body = tree()[i].is(op_code::let) ? tree()[i].operand[0] : i;
    for (const int part : parts(body)) add_names(part, to);
    if (name(i).empty()) return;
    for (const auto* lines : {&formula_, &metrics_, &derivative_})
      for (const formula_line& line : *lines)
        if (line.name == name(i)) return;
    to.push_back({body, name(i), text_writer(tree(), &names_).definition(body), tree()[i].level});
  }

  derivation d_;
  std::vector<std::string> names_;
  std::vector<bool> taken_, written_;
  std::vector<int> numbered_;  // nodes called x1, x2, …
  std::vector<formula_line> formula_, metrics_, derivative_;
};

}  // namespace formula
}  // namespace gradwire::inline v0
