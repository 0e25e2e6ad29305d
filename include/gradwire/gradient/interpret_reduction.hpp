// SPDX-License-Identifier: Apache-2.0
// The reductions of a formula::tree over a table, each written down as its definition: values upwards, adjoints back.
#pragma once

#include <gradwire/gradient/interpret_statistic.hpp>
#include <gradwire/gradient/table.hpp>
#include <gradwire/gradient/tree.hpp>

namespace gradwire::inline v0 {
namespace formula {

// A value of the batch's shape at an element of its extent.
inline double shape_at(const table& data, shape_value what, std::size_t e) {
  const auto number = [](std::size_t n) { return static_cast<double>(n); };
  const auto total = [](const std::vector<double>& of) {
    double sum = 0;
    for (const double x : of) sum += x;
    return sum;
  };
  const auto not_zero = [](const std::vector<double>& of) {
    double n = 0;
    for (const double x : of) n += x != 0;
    return n;
  };
  switch (what) {
    case shape_value::position:
      return number(e - data.offset[data.sequence_of[e]]);
    case shape_value::weight_sum:
      return data.weight_sum[e];
    case shape_value::weight_count:
      return data.weight_count[e];
    case shape_value::sequence_length:
      return number(data.length[e]);
    case shape_value::group_size:
      return number(data.group_begin[e + 1] - data.group_begin[e]);
    case shape_value::counted_size:
      return data.group_count[e];
    case shape_value::total_weight:
      return total(data.weight_sum);
    case shape_value::total_count:
      return total(data.weight_count);
    case shape_value::sequence_count:
      return number(data.sequences);
    case shape_value::counted_sequences:
      return not_zero(data.weight_count);
    case shape_value::group_count:
      return number(data.groups);
    case shape_value::counted_groups:
      return not_zero(data.group_count);
  }
  return 0;
}

class reduction {
 public:
  using arrays = std::vector<std::vector<double>>;
  reduction(const tree& formula, const table& data, const tree_node& n)
      : data_(data),
        n_(n),
        body_(static_cast<std::size_t>(n.operand[0])),
        body_level_(formula[n.operand[0]].level),
        from_tokens_(formula[n.operand[0]].from_tokens) {
    if (n.operands > 1) second_ = static_cast<std::size_t>(n.operand[1]);
    if (n.operands > 2) third_ = static_cast<std::size_t>(n.operand[2]);
  }

  void values(const arrays& of, std::vector<double>& to) const {
    switch (n_.reduction) {
      case reduction_kind::largest:
      case reduction_kind::smallest:
        return extremes(of, to);
      case reduction_kind::within:
        return share(of, body(of), to);
      case reduction_kind::sort: {
        const auto x = body(of);
        const auto place = members(of), from = order_of(of, x);
        for (std::size_t i = 0; i < place.size(); ++i) to[place[i]] = x[from[i]];
        return;
      }
      case reduction_kind::top_threshold:
        to[0] = threshold(of);
        return;
      case reduction_kind::selected:
        return select(of, to);
      case reduction_kind::deviation:
      case reduction_kind::highest:
      case reduction_kind::lowest:
      case reduction_kind::second_highest:
      case reduction_kind::centered:
      case reduction_kind::mean_of_others:
        return for_each_set(of, [&](const statistic_set& set) { set.values(n_, to); });
      default:
        break;
    }
    std::vector<double> error(to.size(), 0.0);  // Neumaier's compensated sums
    data_.for_each(n_.from, [&](std::size_t e) {
      if (!takes_part(of, e)) return;
      const std::size_t at = data_.coarser(n_.from, e, n_.to);
      const double x = weight(e) * at_body(of, e), next = to[at] + x;
      error[at] += __builtin_fabs(to[at]) >= __builtin_fabs(x) ? (to[at] - next) + x : (x - next) + to[at];
      to[at] = next;
    });
    for (std::size_t at = 0; at < to.size(); ++at)
      if (__builtin_isfinite(to[at])) to[at] += error[at];
  }

  void adjoints(const arrays& of, const std::vector<double>& adjoint, arrays& to) const {
    const auto give = [&](std::size_t e, double x) { to[body_][data_.coarser(n_.from, e, body_level_)] += x; };
    if (n_.reduction == reduction_kind::within) {
      std::vector<double> shared(adjoint.size(), 0.0);
      share(of, adjoint, shared);
      for (std::size_t e = 0; e < shared.size(); ++e)
        if (has_value(of, e)) give(e, shared[e]);
    } else if (n_.reduction == reduction_kind::sort) {
      const auto place = members(of), from = order_of(of, body(of));
      for (std::size_t i = 0; i < place.size(); ++i) give(from[i], adjoint[place[i]]);
    } else if (n_.reduction >= reduction_kind::deviation) {
      for_each_set(of, [&](const statistic_set& set) { set.adjoints(n_, adjoint, give); });
    } else {
      data_.for_each(n_.from, [&](std::size_t e) {
        const double x = adjoint[data_.coarser(n_.from, e, n_.to)];
        if (x != 0 && takes_part(of, e)) give(e, weight(e) * x);
      });
    }
  }

  // Of a sort: which element comes to the i-th place that takes part.
  std::vector<std::size_t> order(const arrays& of) const { return order_of(of, body(of)); }

 private:
  double at_body(const arrays& of, std::size_t e) const { return of[body_][data_.coarser(n_.from, e, body_level_)]; }
  double weight(std::size_t e) const { return n_.reduction == reduction_kind::weighted_sum ? data_.weights[e] : 1; }

  bool takes_part(const arrays& of, std::size_t e) const {
    const bool tokens = n_.from == extent::token;
    switch (n_.reduction) {
      case reduction_kind::plain_sum:
        return n_.from < extent::sequence || data_.counted(n_.from, e) || __builtin_isfinite(at_body(of, e));
      case reduction_kind::weighted_sum:
      case reduction_kind::unit_sum:
        return data_.weights[e] != 0;
      case reduction_kind::chosen:
        return data_.role[e] == chosen_role && has_value(of, e);
      case reduction_kind::rejected:
        return data_.role[e] == rejected_role && has_value(of, e);
      default:
        if (n_.from == extent::candidate) return true;
        return tokens ? data_.weights[e] != 0 : data_.counted(n_.from, e);
    }
  }
  // Where every w is 0, what comes from tokens is no value, and neither is what is not finite in a column.
  bool has_value(const arrays& of, std::size_t e) const {
    return data_.counted(n_.from, e) || (!from_tokens_ && __builtin_isfinite(at_body(of, e)));
  }

  std::vector<double> body(const arrays& of) const {
    std::vector<double> x(data_.elements(n_.from), 0.0);
    for (std::size_t e = 0; e < x.size(); ++e)
      if (has_value(of, e)) x[e] = at_body(of, e);
    return x;
  }
  // The elements that have a value.
  std::vector<std::size_t> members(const arrays& of) const {
    std::vector<std::size_t> result;
    for (std::size_t e = 0; e < data_.elements(n_.from); ++e)
      if (has_value(of, e)) result.push_back(e);
    return result;
  }
  std::vector<std::size_t> order_of(const arrays& of, const std::vector<double>& x) const {
    auto all = members(of);
    const auto order = ordered(all.size(), [&](std::size_t i, std::size_t j) { return x[all[i]] < x[all[j]]; });
    std::vector<std::size_t> result;
    for (const std::size_t i : order) result.push_back(all[i]);
    return result;
  }

  // Calls use(set) for every set of a statistic that has a member.
  template <class Use>
  void for_each_set(const arrays& of, Use use) const {
    const std::size_t sets = data_.elements(n_.over);
    for (std::size_t at = 0; at < sets; ++at) {
      statistic_set set;
      set.at = at;
      for (std::size_t s = 0; s < data_.sequences; ++s)
        if (data_.coarser(extent::sequence, s, n_.over) == at && has_value(of, s)) set.add(s, at_body(of, s));
      if (!set.x.empty()) use(set);
    }
  }

  // Σ over the sequences with the same key; those without one (NaN) are a part of their own.
  void share(const arrays& of, const std::vector<double>& x, std::vector<double>& to) const {
    const auto& key = of[second_];
    for (std::size_t i = 0; i < x.size(); ++i)
      for (std::size_t j = 0; j < x.size(); ++j)
        if (key[i] == key[j] || (key[i] != key[i] && key[j] != key[j])) to[i] += x[j];
  }

  void extremes(const arrays& of, std::vector<double>& to) const {
    std::vector<bool> any(to.size(), false);
    data_.for_each(n_.from, [&](std::size_t e) {
      if (!takes_part(of, e)) return;
      const std::size_t at = data_.coarser(n_.from, e, n_.to);
      const double x = at_body(of, e);
      if (!any[at] || (n_.reduction == reduction_kind::largest ? x > to[at] : x < to[at])) to[at] = x;
      any[at] = true;
    });
  }

  double threshold(const arrays& of) const {
    std::vector<double> x;
    for (const std::size_t e : data_.tokens)
      if (data_.weights[e] != 0 && at_body(of, e) != -__builtin_inf()) x.push_back(at_body(of, e));
    if (x.empty()) return __builtin_inf();
    const auto order = ordered(x.size(), [&](std::size_t i, std::size_t j) { return x[i] > x[j]; });
    const double wanted = of[second_][0] * static_cast<double>(x.size());
    const std::size_t k = wanted < 1 ? 1 : static_cast<std::size_t>(wanted);
    return x[order[(k < x.size() ? k : x.size()) - 1]];
  }

  void select(const arrays& of, std::vector<double>& to) const {
    const table_column* const ids = data_.find("datum_id");
    std::vector<double> x;
    std::vector<std::uint64_t> hash;
    std::vector<std::size_t> element;
    for (const std::size_t e : data_.tokens) {
      const std::size_t s = data_.sequence_of[e];
      if (data_.weights[e] == 0 || !(at_body(of, e) > -__builtin_inf())) continue;
      const auto id = ids ? static_cast<std::int64_t>(ids->values[s]) : static_cast<std::int64_t>(s);
      element.push_back(e);
      x.push_back(at_body(of, e));
      hash.push_back(
          token_hash(static_cast<std::uint64_t>(of[third_][0]), static_cast<std::uint64_t>(id), e - data_.offset[s]));
    }
    const auto order =
        ordered(x.size(), [&](std::size_t i, std::size_t j) { return x[i] != x[j] ? x[i] > x[j] : hash[i] < hash[j]; });
    for (std::size_t i = 0; i < order.size() && static_cast<double>(i + 1) <= of[second_][0]; ++i)
      to[element[order[i]]] = 1;
  }

  const table& data_;
  const tree_node& n_;
  std::size_t body_;
  extent body_level_;
  bool from_tokens_;
  std::size_t second_ = 0, third_ = 0;
};

}  // namespace formula
}  // namespace gradwire::inline v0
