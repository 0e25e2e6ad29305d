// SPDX-License-Identifier: Apache-2.0
// One name, one metric: two metrics of a name are the same formula (a sum of objectives may bring one along twice, it
// is reported once), or the compiler says so; the same formula with two numbers is an error of the evaluation.
#pragma once

#include <gradwire/error.hpp>
#include <gradwire/expression/objective.hpp>
#include <gradwire/gradient/bind.hpp>
#include <string_view>

namespace gradwire::inline v0 {
namespace formula {

template <class E>
inline constexpr char type_mark = 0;
struct metric_names {
  bool clash = false, twice = false;
};
template <class... Ms>
constexpr metric_names names_of(const metric_list<Ms...>*) {
  if constexpr (sizeof...(Ms) < 2) {
    return {};
  } else {
    constexpr std::string_view names[] = {Ms::name.view()...};
    constexpr const char* marks[] = {&type_mark<Ms>...};
    metric_names found;
    for (std::size_t i = 0; i < sizeof...(Ms); ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (names[i] == names[j]) (marks[i] == marks[j] ? found.twice : found.clash) = true;
    return found;
  }
}
template <class Objective>
inline constexpr metric_names names_in =
    names_of(static_cast<const std::remove_cvref_t<decltype(Objective::metrics)>*>(nullptr));

inline bool same_numbers(const constant& a, const constant& b) { return is_same_number(a.value, b.value); }
template <class E>
bool same_numbers(const E&, const E&) {
  return true;
}
template <class Op, class... Xs>
bool same_numbers(const node<Op, Xs...>& a, const node<Op, Xs...>& b) {
  bool same = same_numbers(a.a, b.a);
  if constexpr (sizeof...(Xs) > 1) same = same && same_numbers(a.b, b.b);
  if constexpr (sizeof...(Xs) > 2) same = same && same_numbers(a.c, b.c);
  return same;
}
[[noreturn, gnu::noinline, gnu::cold]] inline void two_metrics(const char* name) {
  std::string sentence = "one metric name for two numbers: ";
  sentence += name;
  throw error(errc::config, sentence += "; the two formulas differ in a parameter, give each its own name");
}
template <class Metric>
void compare_metrics(const Metric&, const metric_list<>&) {}
template <class Metric, class First, class... Rest>
void compare_metrics(const Metric& metric, const metric_list<First, Rest...>& others) {
  if constexpr (std::is_same_v<Metric, First>)
    if (!same_numbers(metric.x, others.first.x)) two_metrics(Metric::name.data);
  compare_metrics(metric, others.rest);
}
inline void compare_all_metrics(const metric_list<>&) {}
template <class First, class... Rest>
void compare_all_metrics(const metric_list<First, Rest...>& metrics) {
  compare_metrics(metrics.first, metrics.rest);
  compare_all_metrics(metrics.rest);
}

}  // namespace formula
}  // namespace gradwire::inline v0
