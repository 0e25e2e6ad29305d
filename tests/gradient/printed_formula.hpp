// SPDX-License-Identifier: Apache-2.0
// Reads the text that `explain` prints and evaluates it on a batch: a recursive-descent parser that knows the words of
// the text and nothing of the library's trees. What a word means is written down here a second time.
#pragma once

#include <gradwire/gradient/interpret_statistic.hpp>
#include <gradwire/gradient/table.hpp>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>

namespace printed {

using gradwire::extent;
using gradwire::formula::table;

struct value {
  extent level = extent::batch;
  bool from_tokens = false;  // nothing where every weight is 0
  bool selects = false;      // the weights, alone or as a factor: a product with them is 0 where they are
  bool shape = false;        // a number of the batch's shape: dividing by 0 of it gives 0
  std::vector<double> x;     // one an element
};

// A user's own function: name -> f(arguments).
using functions = std::map<std::string, std::function<double(const std::vector<double>&)>>;

class reader {
 public:
  reader(const table& data, functions own) : data_(data), own_(std::move(own)) {}

  // The lines under a title, to the next empty line: "  per token      name = …", continued where the indent is deeper.
  void section(const std::string& text, const std::string& title) {
    std::size_t at = text.find("\n" + title + "\n");
    if (at == text.npos) throw std::runtime_error("no section " + title);
    at += title.size() + 2;
    std::string line;
    while (at < text.size() && text[at] != '\n') {
      const std::size_t end = text.find('\n', at);
      line += text.substr(at, end - at) + " ";
      at = end + 1;
      if (at < text.size() && text.compare(at, 17, std::string(17, ' ')) == 0) continue;
      define(line);
      line.clear();
    }
  }
  const value& operator[](const std::string& name) const {
    const auto found = known_.find(name);
    if (found == known_.end()) throw std::runtime_error("no " + name);
    return found->second;
  }

 private:
  void define(const std::string& line) {
    const std::size_t equals = line.find(" = ");
    std::string level = line.substr(2, 15), name = line.substr(17, equals - 17);
    level.erase(level.find_last_not_of(' ') + 1);
    text_ = line.substr(equals + 3);
    at_ = 0;
    value v = disjunction();
    if (peek() != '\0') fail("the end");
    if (level != gradwire::to_string(v.level)) {  // a constant of a finer extent
      for (extent e : {extent::candidate, extent::token, extent::sequence, extent::group, extent::batch})
        if (level == gradwire::to_string(e)) v = spread(v, e);
    }
    if (name.substr(0, 7) != "metric ") known_[name] = v;
  }

  // ---- grammar ----

  [[noreturn]] void fail(const std::string& wanted) const {
    throw std::runtime_error("expected " + wanted + " at: " + text_.substr(at_));
  }
  char peek() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(const std::string& token) {
    peek();
    if (text_.compare(at_, token.size(), token) != 0) return false;
    at_ += token.size();
    return true;
  }
  void need(const std::string& token) {
    if (!take(token)) fail(token);
  }
  value disjunction() {
    value a = conjunction();
    while (take("||")) a = map({a, conjunction()}, [](auto& v) { return double(v[0] != 0 || v[1] != 0); });
    return a;
  }
  value conjunction() {
    value a = comparison();
    while (take("&&")) a = map({a, comparison()}, [](auto& v) { return double(v[0] != 0 && v[1] != 0); });
    return a;
  }
  value comparison() {
    const value a = sum();
    if (take("<=")) return map({a, sum()}, [](auto& v) { return double(v[0] <= v[1]); });
    if (take(">=")) return map({a, sum()}, [](auto& v) { return double(v[0] >= v[1]); });
    if (take("==")) return map({a, sum()}, [](auto& v) { return double(v[0] == v[1]); });
    if (take("<")) return map({a, sum()}, [](auto& v) { return double(v[0] < v[1]); });
    if (take(">")) return map({a, sum()}, [](auto& v) { return double(v[0] > v[1]); });
    return a;
  }
  value sum() {
    value a = product();
    for (;;) {
      if (take("+ "))
        a = map({a, product()}, [](auto& v) { return v[0] + v[1]; });
      else if (take("- "))
        a = map({a, product()}, [](auto& v) { return v[0] - v[1]; });
      else
        return a;
    }
  }
  value product() {
    value a = unary();
    for (;;) {
      if (take("* ")) {
        const value b = unary();
        const bool selects = a.selects || b.selects;
        a = map({a, b}, [](auto& v) { return v[0] * v[1]; });
        if (selects) a = masked(a);
        a.selects = selects;
      } else if (take("/ ")) {
        const value b = unary();
        const bool selects = a.selects;
        a = map({a, b}, [&](auto& v) { return b.shape && v[1] == 0 ? 0 : v[0] / v[1]; });
        if (selects) a = masked(a);
        a.selects = selects;
      } else {
        return a;
      }
    }
  }
  value unary() {
    if (take("!")) return map({unary()}, [](auto& v) { return double(v[0] == 0); });
    if (take("-")) {
      value a = unary();
      for (double& x : a.x) x = -x;
      return a;
    }
    return primary();
  }
  value primary() {
    if (take("(")) {
      value a = disjunction();
      need(")");
      return a;
    }
    const char c = peek();
    if ((c >= '0' && c <= '9') || c == '.') {
      char* end = nullptr;
      const double x = std::strtod(text_.c_str() + at_, &end);
      at_ = static_cast<std::size_t>(end - text_.c_str());
      return {extent::batch, false, false, false, {x}};
    }
    std::string name;
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_' || text_[at_] == ':'))
      name += text_[at_++];
    if (name.empty()) fail("a name");
    if (at_ < text_.size() && text_[at_] == '<')  // a number of the word itself; comparisons have blanks around them
      do name += text_[at_];
      while (text_[at_++] != '>');
    if (at_ >= text_.size() || text_[at_] != '(') return named(name);
    ++at_;
    std::vector<value> of;
    std::vector<std::string> words;
    do {
      peek();
      const std::size_t begin = at_;
      of.push_back(disjunction());
      words.push_back(text_.substr(begin, at_ - begin));
    } while (take(","));
    need(")");
    if (name == "value_of") {  // .gradient_of(…): no part of the value
      need(".gradient_of(");
      disjunction();
      need(")");
    }
    return apply(name, of);
  }

  // ---- words ----

  value named(const std::string& name) {
    if (const auto found = known_.find(name); found != known_.end()) return found->second;
    if (name == "inf") return {extent::batch, false, false, false, {HUGE_VAL}};
    if (const auto* column = data_.find(name)) return {column->level, false, name == "weights", false, column->values};
    static const std::map<std::string, extent> shapes = {
        {"position", extent::token},     {"weight_sum", extent::sequence},      {"weight_count", extent::sequence},
        {"group_size", extent::group},   {"sequence_length", extent::sequence}, {"counted_size", extent::group},
        {"total_weight", extent::batch}, {"total_count", extent::batch},        {"sequence_count", extent::batch},
        {"group_count", extent::batch},  {"counted_sequences", extent::batch},  {"counted_groups", extent::batch}};
    const auto shape = shapes.find(name);
    if (shape == shapes.end()) fail("a known name, not " + name);
    value v{shape->second, false, false, true, std::vector<double>(data_.elements(shape->second))};
    data_.for_each(v.level, [&](std::size_t e) { v.x[e] = shape_at(name, e); });
    return v;
  }
  double shape_at(const std::string& name, std::size_t e) const {
    double tokens = 0, sequences = 0, groups = 0, total = 0;
    for (std::size_t s = 0; s < data_.sequences; ++s) {
      tokens += data_.weight_count[s];
      total += data_.weight_sum[s];
      sequences += data_.weight_count[s] != 0;
    }
    for (const double n : data_.group_count) groups += n != 0;
    if (name == "position") return static_cast<double>(e - data_.offset[data_.sequence_of[e]]);
    if (name == "weight_sum") return data_.weight_sum[e];
    if (name == "weight_count") return data_.weight_count[e];
    if (name == "sequence_length") return static_cast<double>(data_.length[e]);
    if (name == "group_size") return static_cast<double>(data_.group_begin[e + 1] - data_.group_begin[e]);
    if (name == "counted_size") return data_.group_count[e];
    if (name == "total_weight") return total;
    if (name == "total_count") return tokens;
    if (name == "sequence_count") return static_cast<double>(data_.sequences);
    if (name == "counted_sequences") return sequences;
    if (name == "group_count") return static_cast<double>(data_.groups);
    return groups;
  }

  value spread(const value& v, extent level) const {
    value result = v;
    if (v.level == level) return result;
    result.level = level;
    result.x.assign(data_.elements(level), 0);
    data_.for_each(level, [&](std::size_t e) { result.x[e] = v.x[data_.coarser(level, e, v.level)]; });
    return result;
  }
  template <class F>
  value map(const std::vector<value>& of, F f) const {
    value result;
    for (const value& v : of) {
      result.level = std::min(result.level, v.level);
      result.from_tokens = result.from_tokens || v.from_tokens;
    }
    result.x.assign(data_.elements(result.level), 0);
    data_.for_each(result.level, [&](std::size_t e) {
      std::vector<double> here;
      for (const value& v : of) here.push_back(v.x[data_.coarser(result.level, e, v.level)]);
      result.x[e] = f(here);
    });
    return result;
  }
  value masked(value v) const {  // tokens without a weight
    v = spread(v, std::min(v.level, extent::token));
    data_.for_each(v.level, [&](std::size_t e) {
      if (data_.weights[data_.coarser(v.level, e, extent::token)] == 0) v.x[e] = 0;
    });
    return v;
  }
  bool has_tokens(const value& v, extent level, std::size_t e) const {
    return !v.from_tokens || data_.counted(level, e);
  }

  value apply(const std::string& name, std::vector<value> v);
  value reduced(const value& v, extent from, extent to, const std::function<double(std::size_t)>& weight) const {
    const value body = spread(v, from);
    value result{to, v.from_tokens || from == extent::token, false, false,
                 std::vector<double>(data_.elements(to), 0.0)};
    data_.for_each(from, [&](std::size_t e) {
      const double w = weight(e);
      if (w != 0) result.x[data_.coarser(from, e, to)] += w * body.x[e];
    });
    return result;
  }
  value over_sequences(const value& v, extent from, extent to) const {
    return reduced(v, from, to, [&](std::size_t e) { return has_tokens(v, from, e) ? 1.0 : 0.0; });
  }
  value quotient(const value& a, const value& b) const {
    value result = map({a, b}, [](auto& x) { return x[1] == 0 ? 0 : x[0] / x[1]; });
    result.from_tokens = a.from_tokens;
    return result;
  }
  value ones(extent level) const { return spread({extent::batch, false, false, false, {1}}, level); }
  value extreme(const value& v, extent from, extent to, double sign,
                const std::function<bool(std::size_t)>& part) const {
    const value body = spread(v, from);
    value result{to, v.from_tokens || from == extent::token, false, false,
                 std::vector<double>(data_.elements(to), 0.0)};
    std::vector<bool> any(result.x.size(), false);
    data_.for_each(from, [&](std::size_t e) {
      const std::size_t at = data_.coarser(from, e, to);
      if (part(e) && (!any[at] || sign * body.x[e] > sign * result.x[at])) result.x[at] = body.x[e], any[at] = true;
    });
    return result;
  }
  std::vector<std::size_t> members(const value& v, extent over, std::size_t at) const {
    std::vector<std::size_t> result;
    for (std::size_t s = 0; s < data_.sequences; ++s)
      if (data_.coarser(extent::sequence, s, over) == at && has_tokens(v, extent::sequence, s)) result.push_back(s);
    return result;
  }
  value statistic(const std::string& name, extent over, const value& v) const;

  const table& data_;
  functions own_;
  std::map<std::string, value> known_;
  std::string text_;
  std::size_t at_ = 0;
};

inline value reader::statistic(const std::string& name, extent over, const value& given) const {
  const value v = spread(given, extent::sequence);
  const bool each = name == "centered" || name == "others";
  value result{each ? extent::sequence : over, v.from_tokens, false, false, {}};
  result.x.assign(data_.elements(result.level), 0);
  for (std::size_t at = 0; at < data_.elements(over); ++at) {
    const auto in = members(v, over, at);
    const double n = static_cast<double>(in.size());
    double mean = 0, squares = 0;
    std::vector<double> sorted;
    for (const std::size_t s : in) {
      mean += v.x[s] / n;
      sorted.push_back(v.x[s]);
    }
    for (const std::size_t s : in) squares += (v.x[s] - mean) * (v.x[s] - mean);
    std::sort(sorted.begin(), sorted.end());
    if (name == "centered") {
      for (const std::size_t s : in) result.x[s] = v.x[s] - mean;
    } else if (name == "others") {
      for (const std::size_t s : in) result.x[s] = n == 1 ? 0 : (mean * n - v.x[s]) / (n - 1);
    } else if (in.empty()) {
      continue;
    } else if (name == "std0" || name == "std1") {
      const double ddof = name == "std1";
      result.x[at] = n <= ddof ? 0 : std::sqrt(squares / (n - ddof));
    } else {
      const std::size_t last = sorted.size() - 1;
      result.x[at] = sorted[name == "max" ? last : name == "min" || last == 0 ? 0 : last - 1];
    }
  }
  return result;
}

inline value reader::apply(const std::string& name, std::vector<value> v) {
  constexpr extent candidate = extent::candidate, token = extent::token, sequence = extent::sequence,
                   group = extent::group, batch = extent::batch;
  const auto weight = [&](std::size_t e) { return data_.weights[e]; };
  const auto unmasked = [&](std::size_t e) { return data_.weights[e] != 0 ? 1.0 : 0.0; };
  const auto always = [](std::size_t) { return 1.0; };
  const auto tokens = [&](const value& x) { return reduced(x, token, sequence, weight); };
  const auto f = [&](auto function) { return map(v, [&](const std::vector<double>& x) { return function(x); }); };
  using args = const std::vector<double>&;

  if (const auto own = own_.find(name); own != own_.end()) return map(v, [&](args x) { return own->second(x); });
  if (name == "exp") return f([](args x) { return std::exp(x[0]); });
  if (name == "expm1") return f([](args x) { return std::expm1(x[0]); });
  if (name == "log") return f([](args x) { return std::log(x[0]); });
  if (name == "log1p") return f([](args x) { return std::log1p(x[0]); });
  if (name == "sqrt") return f([](args x) { return std::sqrt(x[0]); });
  if (name == "abs") return f([](args x) { return std::abs(x[0]); });
  if (name == "floor") return f([](args x) { return std::floor(x[0]); });
  if (name == "square") return f([](args x) { return x[0] * x[0]; });
  if (name == "sigmoid") return f([](args x) { return 1 / (1 + std::exp(-x[0])); });
  if (name == "log_sigmoid") return f([](args x) { return -std::log1p(std::exp(-x[0])); });
  if (name == "log1mexp") return f([](args x) { return std::log(-std::expm1(x[0])); });
  if (name == "k1") return f([](args x) { return x[0] - x[1]; });
  if (name == "k3")
    return f([](args x) {
      const double d = x.size() == 2 ? x[1] - x[0] : x[0];
      return std::expm1(d) - d;
    });
  if (name == "min") return f([](args x) { return std::min(x[0], x[1]); });
  if (name == "max") return f([](args x) { return std::max(x[0], x[1]); });
  if (name == "clamp") return f([](args x) { return std::min(x[2], std::max(x[0], x[1])); });
  if (name == "where") return f([](args x) { return x[0] != 0 ? x[1] : x[2]; });
  if (name == "divide_or_zero") return f([](args x) { return x[1] == 0 ? 0 : x[0] / x[1]; });
  if (name == "stop_gradient" || name == "value_of") return v[0];

  if (name == "unmasked") return masked(v[0]);
  if (name == "every") return v[0].from_tokens = false, v[0];
  if (name == "counted" || name == "counted_group") {
    v[0] = spread(v[0], std::min(v[0].level, name == "counted" ? sequence : group));
    for (std::size_t e = 0; e < v[0].x.size(); ++e)
      if (!data_.counted(name == "counted" ? sequence : group,
                         data_.coarser(v[0].level, e, name == "counted" ? sequence : group)))
        v[0].x[e] = 0;
    v[0].from_tokens = true;
    return v[0];
  }
  if (name == "if_chosen" || name == "if_rejected") {
    value x = spread(v[0], std::min(v[0].level, sequence));
    data_.for_each(x.level, [&](std::size_t e) {
      if (data_.role[data_.coarser(x.level, e, sequence)] != (name == "if_chosen" ? 1 : 2)) x.x[e] = 0;
    });
    return x;
  }

  if (name == "sum_over_candidates") return reduced(v[0], candidate, token, always);
  if (name == "max_over_candidates") return extreme(v[0], candidate, token, 1, [](std::size_t) { return true; });
  if (name == "sum_over_tokens") return tokens(v[0]);
  if (name == "sum_over_tokens_unweighted") return reduced(v[0], token, sequence, unmasked);
  if (name == "sum_over_positions") return reduced(v[0], token, sequence, always);
  if (name == "mean_over_tokens" && v.size() == 1) return quotient(tokens(v[0]), tokens(ones(token)));
  if (name == "mean_over_tokens" || name == "mean_over_all_tokens") {
    const auto sum = [&](const value& x, bool own) {
      const value row = reduced(x, token, sequence, own ? std::function<double(std::size_t)>(unmasked) : weight);
      return name == "mean_over_tokens" ? row : over_sequences(row, sequence, batch);
    };
    if (v.size() == 1) return quotient(sum(v[0], false), sum(ones(token), false));
    return quotient(sum(map(v, [](args x) { return x[0] * x[1]; }), true), sum(v[1], true));
  }
  if (name == "mean_over_tokens_by_count")
    return quotient(tokens(v[0]), reduced(ones(token), token, sequence, unmasked));
  if (name == "sum_over_all_tokens") return over_sequences(tokens(v[0]), sequence, batch);
  if (name == "mean_over_all_tokens_by_count")
    return quotient(over_sequences(tokens(v[0]), sequence, batch), reduced(ones(token), token, batch, unmasked));
  if (name == "max_over_tokens" || name == "min_over_tokens")
    return extreme(v[0], token, sequence, name == "max_over_tokens" ? 1 : -1,
                   [&](std::size_t e) { return weight(e) != 0; });
  if (name == "max_over_sequences" || name == "min_over_sequences")
    return extreme(v[0], sequence, batch, name == "max_over_sequences" ? 1 : -1,
                   [&](std::size_t s) { return data_.weight_count[s] != 0; });
  const auto mean = [&](extent from, extent to) {
    value n = ones(from);
    n.from_tokens = v[0].from_tokens;
    return quotient(over_sequences(v[0], from, to), over_sequences(n, from, to));
  };
  if (name == "sum_over_sequences") return over_sequences(v[0], sequence, batch);
  if (name == "sum_over_every_sequence") return reduced(v[0], sequence, batch, always);
  if (name == "sum_over_every_sequence_of_group") return reduced(v[0], sequence, group, always);
  if (name == "sum_over_every_group") return reduced(v[0], group, batch, always);
  if (name == "mean_over_sequences") return mean(sequence, batch);
  if (name == "mean_over_sequences<all_masked::counts>")
    return quotient(over_sequences(v[0], sequence, batch), over_sequences(ones(sequence), sequence, batch));
  if (name == "sum_over_group") return over_sequences(v[0], sequence, group);
  if (name == "mean_over_group") return mean(sequence, group);
  if (name == "sum_over_groups") return over_sequences(v[0], group, batch);
  if (name == "mean_over_groups" || name == "mean_over_pairs") return mean(group, batch);
  if (name == "chosen" || name == "rejected")
    return reduced(v[0], sequence, group, [&](std::size_t s) {
      return data_.role[s] == (name == "chosen" ? 1 : 2) && has_tokens(v[0], sequence, s) ? 1.0 : 0.0;
    });

  const auto within = [&](const value& x) {
    const value key = v[0], all = spread(x, sequence);
    value result{sequence, x.from_tokens, false, false, std::vector<double>(data_.sequences, 0.0)};
    for (std::size_t i = 0; i < data_.sequences; ++i)
      for (std::size_t j = 0; j < data_.sequences; ++j)
        if (key.x[i] == key.x[j] && has_tokens(x, sequence, j)) result.x[i] += all.x[j];
    return result;
  };
  if (name == "sum_within") return within(v[1]);
  if (name == "mean_over_tokens_within") return quotient(within(tokens(v[1])), within(tokens(ones(token))));
  if (name == "mean_over_parts") {
    const value size = within(ones(sequence));
    value share = map({v[1], size}, [](args x) { return x[0] / x[1]; }),
          count = map({size}, [](args x) { return 1 / x[0]; });
    share.from_tokens = false;
    return quotient(over_sequences(share, sequence, batch), over_sequences(count, sequence, batch));
  }
  if (name == "sort_over_batch" || name == "unsorted_over_batch") {
    const extent level = v[0].level;
    std::vector<std::size_t> place, from;
    for (std::size_t e = 0; e < v[0].x.size(); ++e)
      if (has_tokens(v[0], level, e)) place.push_back(e);
    from = place;
    std::stable_sort(from.begin(), from.end(), [&](std::size_t i, std::size_t j) { return v[0].x[i] < v[0].x[j]; });
    value result{level, v[0].from_tokens, false, false, std::vector<double>(v[0].x.size(), 0.0)};
    const value back = name == "sort_over_batch" ? v[0] : spread(v[1], level);
    for (std::size_t i = 0; i < place.size(); ++i) {
      if (name == "sort_over_batch")
        result.x[place[i]] = back.x[from[i]];
      else
        result.x[from[i]] = back.x[place[i]];
    }
    return result;
  }
  if (name == "top_fraction_over_batch") {
    const value x = spread(v[0], token);
    std::vector<double> all;
    for (const std::size_t e : data_.tokens)
      if (data_.weights[e] != 0) all.push_back(x.x[e]);
    std::sort(all.rbegin(), all.rend());
    const std::size_t k =
        std::max<std::size_t>(1, static_cast<std::size_t>(v[1].x[0] * static_cast<double>(all.size())));
    return map({x}, [&](args y) { return double(y[0] >= all[k - 1]); });
  }
  if (name == "top_count_over_batch" || name == "smallest_hash_over_batch") {
    const bool by_hash = name == "smallest_hash_over_batch";
    const value x = spread(v[0], token);
    std::vector<std::size_t> all;
    for (const std::size_t e : data_.tokens)
      if (data_.weights[e] != 0 && (!by_hash || x.x[e] != 0)) all.push_back(e);
    const auto hash = [&](std::size_t e) {
      const std::size_t s = data_.sequence_of[e];
      const auto* ids = data_.find("datum_id");
      return gradwire::formula::token_hash(static_cast<std::uint64_t>(v[2].x[0]),
                                           ids ? static_cast<std::uint64_t>(ids->values[s]) : s, e - data_.offset[s]);
    };
    std::sort(all.begin(), all.end(), [&](std::size_t i, std::size_t j) {
      return !by_hash && x.x[i] != x.x[j] ? x.x[i] > x.x[j] : hash(i) < hash(j);
    });
    value result{token, false, false, false, std::vector<double>(data_.padded, 0.0)};
    for (std::size_t i = 0; i < all.size() && static_cast<double>(i + 1) <= v[1].x[0]; ++i) result.x[all[i]] = 1;
    return result;
  }
  static const std::map<std::string, std::pair<std::string, extent>> statistics = {
      {"std_over_group<0>", {"std0", group}},
      {"std_over_group<1>", {"std1", group}},
      {"std_over_sequences<0>", {"std0", batch}},
      {"std_over_sequences<1>", {"std1", batch}},
      {"max_over_group", {"max", group}},
      {"min_over_group", {"min", group}},
      {"second_largest_over_group", {"second", group}},
      {"second_largest_over_sequences", {"second", batch}},
      {"centered_over_group", {"centered", group}},
      {"centered_over_sequences", {"centered", batch}},
      {"leave_one_out_mean", {"others", group}},
      {"leave_one_out_mean_over_sequences", {"others", batch}}};
  if (const auto found = statistics.find(name); found != statistics.end())
    return statistic(found->second.first, found->second.second, v[0]);
  throw std::runtime_error("no function " + name);
}

}  // namespace printed
