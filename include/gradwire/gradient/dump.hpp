// SPDX-License-Identifier: Apache-2.0
// Everything that a loss computes, token by token, as a table for other tools:
//
//   std::string lines = dump(my_grpo{}, at(known), dump_format::jsonl);
//   dump(my_grpo{}, at(known), dump_format::csv, "step-20.csv");              // into a file
//   dump(value_loss{}, wrt(values), at(data), dump_format::csv);              // another field's gradient
//
// One line a token, masked ones too, in the order of the batch:
//
//   datum, group, position   indices; the position is that in the datum's targets
//   token                    the target's id          candidates   the K ids, where the loss reads candidates
//   weight                   0 = masked
//   <field>                  every column that the loss or a metric reads, that of wrt first
//   <let>                    every let, by its name
//   loss, loss.2, …          the body of each reduction over tokens that the loss is made of: what is summed or
//                            averaged
//   metric.<name>            the same of every metric
//   gradient                 dL/d(the field in wrt), logprobs if none is named
//
// A value a sequence, group or batch is repeated at each of its tokens; a value a candidate is an array of K in JSONL
// and K columns `name.0` … in CSV. A let that has the name of another column is called `let.<name>`. Numbers are the
// shortest text that reads back the same. NaN and infinities are nan, inf and -inf in CSV; JSON has no word for them,
// so they are null there and a last key "not_finite" says which they are. Throws what value_and_gradient throws, and
// error(errc::config) where the file cannot be written.
#pragma once

#include <cstdio>

#include <gradwire/gradient/formula_text.hpp>
#include <gradwire/gradient/gradient.hpp>
#include <gradwire/gradient/interpret.hpp>
#include <gradwire/gradient/report.hpp>

namespace gradwire::inline v0 {

enum class dump_format : unsigned char { jsonl, csv };

namespace detail {

struct dump_column {
  std::string name;
  extent level = extent::token;
  const double* values = nullptr;  // one an element of the level
  bool as_float = false;           // the values are floats
};

// What a reduction tree is made of at the bottom: the bodies of its reductions over tokens, as far as they are reached
// through sums and factors only; beyond a function of a reduction (a pair's margin) that function's own value is the
// body.
class body_finder {
 public:
  explicit body_finder(const formula::tree& from) : tree_(from) {}
  std::vector<int> bodies(int root) {
    found_.clear();
    open(root);
    return found_;
  }

 private:
  // The node itself cannot be shown per token: look into its operands.
  void open(int node) {
    if (look(node)) return;
    const formula::tree_node& n = tree_[node];
    for (int i = 0; i < n.operands; ++i)
      if (tree_[n.operand[i]].from_tokens) open(n.operand[i]);
  }
  bool look(int node) {
    using enum formula::op_code;
    const formula::tree_node& n = tree_[node];
    if (n.kind == formula::node_kind::reduction) {
      const int body = n.operand[0];
      const std::size_t before = found_.size();
      if (tree_[body].level <= extent::token || !tree_[body].from_tokens || !look(body)) {
        found_.resize(before);
        keep(body);
      }
      return true;
    }
    if (n.kind != formula::node_kind::operation) return false;
    int from_tokens = 0;
    for (int i = 0; i < n.operands; ++i) from_tokens += tree_[n.operand[i]].from_tokens;
    const bool sum = n.is(add) || n.is(subtract) || n.is(negate) || n.is(let) || n.is(allow) || n.is(as_number);
    const bool factor = n.is(multiply) || n.is(divide) || n.is(divide_or_zero);
    if (from_tokens == 0 || !(sum || (factor && from_tokens == 1))) return false;
    bool all = true;
    for (int i = 0; i < n.operands; ++i)
      if (tree_[n.operand[i]].from_tokens) all = look(n.operand[i]) && all;
    return all;
  }
  void keep(int node) {
    for (const int each : found_)
      if (each == node) return;
    found_.push_back(node);
  }

  const formula::tree& tree_;
  std::vector<int> found_;
};

class dump_writer {
 public:
  dump_writer(const formula::interpreter& run, std::string_view variable, std::vector<double> slope, extent slope_level,
              bool as_float)
      : run_(run), data_(run.data()), slope_(std::move(slope)) {
    const formula::tree& tree = run.formula();
    columns_.push_back({"weight", extent::token, data_.weights.data(), as_float});
    const auto add_field = [&](std::string_view name) {
      const formula::table_column* const column = data_.find(name);
      if (column) columns_.push_back({std::string(name), column->level, column->values.data(), as_float});
    };
    add_field(variable);
    for (const formula::tree_node& n : tree.nodes)
      if (n.kind == formula::node_kind::field && n.name != "weights" && n.name != variable) add_field(n.name);
    for (int n = 0; n < tree.size(); ++n)
      if (tree[n].is(formula::op_code::let)) add(std::string(tree[n].name), n, "let.");
    add_bodies("loss", tree.loss);
    for (const auto& metric : tree.metrics) add_bodies("metric." + std::string(metric.name), metric.node);
    columns_.push_back({"gradient", slope_level, slope_.data(), as_float});
    for (const dump_column& each : columns_) has_candidates_ = has_candidates_ || each.level == extent::candidate;
  }

  std::string csv_head() const {
    std::string line = "datum,group,position,token";
    const auto add_name = [&](const std::string& name) { line += ',' + csv_text(name); };
    for (std::size_t k = 0; has_candidates_ && k < data_.candidates; ++k) add_name("candidates." + whole(k));
    for (const dump_column& each : columns_) {
      if (each.level != extent::candidate) add_name(each.name);
      for (std::size_t k = 0; each.level == extent::candidate && k < data_.candidates; ++k)
        add_name(each.name + "." + whole(k));
    }
    return line + "\n";
  }
  void csv_line(std::string& to, std::size_t s, std::size_t t, std::int32_t id, const std::int32_t* candidates) const {
    to += whole(s) + "," + whole(data_.group_of[s]) + "," + whole(t) + "," + std::to_string(id);
    for (std::size_t k = 0; has_candidates_ && k < data_.candidates; ++k) to += "," + std::to_string(candidates[k]);
    for (const dump_column& each : columns_) for_each_value(each, s, t, [&](double x) { to += "," + number(each, x); });
    to += '\n';
  }
  void json_line(std::string& to, std::size_t s, std::size_t t, std::int32_t id, const std::int32_t* candidates) const {
    to += "{\"datum\":" + whole(s) + ",\"group\":" + whole(data_.group_of[s]) + ",\"position\":" + whole(t) +
          ",\"token\":" + std::to_string(id);
    if (has_candidates_) {
      to += ",\"candidates\":[";
      for (std::size_t k = 0; k < data_.candidates; ++k) to += (k ? "," : "") + std::to_string(candidates[k]);
      to += ']';
    }
    std::string note;
    for (const dump_column& each : columns_) {
      const bool array = each.level == extent::candidate;
      to += "," + json_text(each.name) + ":" + (array ? "[" : "");
      std::size_t k = 0;
      for_each_value(each, s, t, [&](double x) {
        const bool finite = x - x == 0;
        to += (k ? "," : "") + (finite ? number(each, x) : std::string("null"));
        if (!finite) note += (note.empty() ? "" : ", ") + each.name + (array ? "." + whole(k) : "") + " is " + exact(x);
        ++k;
      });
      if (array) to += ']';
    }
    if (!note.empty()) to += ",\"not_finite\":" + json_text(note);
    to += "}\n";
  }

 private:
  void add(std::string name, int node, const char* prefix) {
    for (const char* taken : {"datum", "group", "position", "token", "candidates", "weight", "loss", "gradient"})
      if (name == taken) name = prefix + name;
    for (const dump_column& each : columns_)
      if (each.name == name) name = prefix + name;
    columns_.push_back({std::move(name), run_.formula()[node].level, run_.value(node).data(), false});
  }
  void add_bodies(const std::string& name, int root) {
    int count = 0;
    for (const int body : body_finder(run_.formula()).bodies(root)) {
      ++count;
      columns_.push_back({count > 1 ? name + "." + std::to_string(count) : name, run_.formula()[body].level,
                          run_.value(body).data(), false});
    }
  }
  template <class Use>
  void for_each_value(const dump_column& column, std::size_t s, std::size_t t, Use&& use) const {
    const std::size_t element = data_.offset[s] + t;
    if (column.level == extent::candidate)
      for (std::size_t k = 0; k < data_.candidates; ++k) use(column.values[k * data_.padded + element]);
    else
      use(column.values[data_.coarser(extent::token, element, column.level)]);
  }
  static std::string number(const dump_column& column, double x) {
    return column.as_float ? exact(static_cast<float>(x)) : exact(x);
  }
  static std::string csv_text(const std::string& name) {
    if (name.find_first_of(",\"\r\n") == std::string::npos) return name;
    std::string quoted = "\"";
    for (const char c : name) quoted.append(c == '"' ? 2 : 1, c);
    return quoted + '"';
  }
  static std::string json_text(const std::string& name) {
    std::string quoted = "\"";
    for (const char c : name) {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += static_cast<unsigned char>(c) < 32 ? ' ' : c;
    }
    return quoted + '"';
  }

  const formula::interpreter& run_;
  const formula::table& data_;
  std::vector<double> slope_;
  std::vector<dump_column> columns_;
  bool has_candidates_ = false;  // their ids are written too
};

inline void write_text(const std::string& text, const std::string& path) {
  std::FILE* const file = std::fopen(path.c_str(), "wb");
  const bool written = file && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const bool closed = file && std::fclose(file) == 0;
  if (!written || !closed) throw error(errc::config, "dump: the file " + path + " cannot be written");
}

}  // namespace detail

// For a loss that is known at run time: its tree, and the engine's gradient for this batch and the field of that name.
template <class Batch>
std::string dump(const formula::tree& loss, const column<typename Batch::value_type>& slope, std::string_view variable,
                 at_t<Batch> at, dump_format format) {
  const formula::interpreter run(loss, formula::table_of(at.batch));
  const detail::dump_writer writer(run, variable, {slope.data(), slope.data() + slope.size()}, slope.level(),
                                   sizeof(typename Batch::value_type) == 4);
  std::string text = format == dump_format::csv ? writer.csv_head() : "";
  for (std::size_t s = 0; s < at.batch.size(); ++s) {
    const auto ids = at.batch.target_tokens(s);
    const auto candidates = at.batch.candidate_tokens(s);
    for (std::size_t t = 0; t < ids.size(); ++t) {
      const auto* const of_token = candidates.data() + t * at.batch.shape().candidates();
      if (format == dump_format::csv)
        writer.csv_line(text, s, t, ids[t], of_token);
      else
        writer.json_line(text, s, t, ids[t], of_token);
    }
  }
  return text;
}

template <class Loss, class Variable, class Batch>
std::string dump(const Loss& loss, wrt_t<Variable> variable, at_t<Batch> at, dump_format format) {
  return dump(reflect(loss), value_and_gradient(loss, variable, at).slope, Variable::name.view(), at, format);
}
template <class Loss, class Batch>
std::string dump(const Loss& loss, at_t<Batch> at, dump_format format) {
  return dump(loss, wrt(fields::logprobs), at, format);
}

// Into a file, which is replaced.
template <class Loss, class Variable, class Batch>
void dump(const Loss& loss, wrt_t<Variable> variable, at_t<Batch> at, dump_format format, const std::string& path) {
  detail::write_text(dump(loss, variable, at, format), path);
}
template <class Loss, class Batch>
void dump(const Loss& loss, at_t<Batch> at, dump_format format, const std::string& path) {
  dump(loss, wrt(fields::logprobs), at, format, path);
}

}  // namespace gradwire::inline v0
