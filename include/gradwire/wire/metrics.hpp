// SPDX-License-Identifier: Apache-2.0
// Puts the metrics of the chunks of one batch together. A name is "metric:reduction"; the reductions are
//   sum, min, max     of the chunks' values
//   mean, slack       mean weighted by each chunk's number of outputs; slack = max - mean
//   unique            the first under the name itself, the others under name_1, name_2, …
//   hash2             sum modulo 2^64
// A name that one of the chunks lacks is left out. Any other name (no reduction, an unknown one) keeps the first
// chunk's value and is listed in `unmerged`: what a server says is never lost and never an error.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradwire/wire/messages_training.hpp>

namespace gradwire::inline v0 {
namespace wire {

// nullptr when there is none of that name.
inline const double* find(const metrics& values, std::string_view name) noexcept {
  for (const auto& item : values)
    if (item.name == name) return &item.value;
  return nullptr;
}

// Replaces, or appends.
inline void set(metrics& values, std::string_view name, double value) {
  for (auto& item : values)
    if (item.name == name) return void(item.value = value);
  values.push_back({std::string(name), value});
}

struct merged_metrics {
  metrics values{};
  std::vector<std::string> unmerged{};  // names whose value is only the first chunk's
};

namespace detail {

// The part after the colon; "" unless there is exactly one colon.
constexpr std::string_view reduction_of(std::string_view name) noexcept {
  const auto colon = name.find(':');
  if (colon == std::string_view::npos || name.find(':', colon + 1) != std::string_view::npos) return {};
  return name.substr(colon + 1);
}

struct weighted_value {
  double value = 0;
  double weight = 0;
};

inline double weighted_mean(std::span<const weighted_value> parts) noexcept {
  double sum = 0, weights = 0, plain = 0;
  for (const auto& part : parts) {
    sum += part.value * part.weight;
    weights += part.weight;
    plain += part.value;
  }
  return weights > 0 ? sum / weights : plain / static_cast<double>(parts.size());
}

// The smallest (sign 1) or largest (sign -1); NaN when one is NaN.
inline double extreme(std::span<const weighted_value> parts, double sign) noexcept {
  double best = parts.front().value;
  for (const auto& part : parts) {
    if (part.value != part.value) return part.value;
    if (sign * part.value < sign * best) best = part.value;
  }
  return best;
}

// trunc(value) modulo 2^64.
inline std::uint64_t wrap(double value) noexcept {
  constexpr double two64 = 18446744073709551616.0;
  if (!(value - value == 0)) return 0;  // NaN, inf
  const bool negative = value < 0;
  const double magnitude = __builtin_fmod(__builtin_trunc(negative ? -value : value), two64);
  const auto bits = static_cast<std::uint64_t>(magnitude);
  return negative ? 0 - bits : bits;
}

inline bool reduce(std::string_view reduction, std::span<const weighted_value> parts, double& result) noexcept {
  if (reduction == "sum") {
    result = 0;
    for (const auto& part : parts) result += part.value;
  } else if (reduction == "mean") {
    result = weighted_mean(parts);
  } else if (reduction == "min") {
    result = extreme(parts, 1);
  } else if (reduction == "max") {
    result = extreme(parts, -1);
  } else if (reduction == "slack") {
    result = extreme(parts, -1) - weighted_mean(parts);
  } else if (reduction == "hash2") {
    std::uint64_t sum = 0;
    for (const auto& part : parts) sum += wrap(part.value);
    result = static_cast<double>(sum);
  } else {
    return false;
  }
  return true;
}

}  // namespace detail

inline merged_metrics merge_metrics(std::span<const forward_backward_reply> chunks) {
  merged_metrics merged;
  if (chunks.empty()) return merged;
  std::vector<detail::weighted_value> parts;
  for (const auto& [name, first] : chunks.front().metrics) {
    parts.clear();
    for (const auto& part : chunks)
      if (const double* value = find(part.metrics, name))
        parts.push_back({*value, static_cast<double>(part.loss_fn_outputs.size())});
    const std::string_view reduction = detail::reduction_of(name);
    double result = first;
    if (reduction == "unique" && parts.size() == chunks.size()) {
      merged.values.push_back({name, first});
      for (std::size_t i = 1; i < parts.size(); ++i)
        merged.values.push_back({name + "_" + std::to_string(i), parts[i].value});
    } else if (!detail::reduce(reduction, parts, result) && reduction != "unique") {
      merged.values.push_back({name, first});
      merged.unmerged.push_back(name);
    } else if (parts.size() == chunks.size()) {
      merged.values.push_back({name, result});
    }
  }
  return merged;
}

}  // namespace wire
}  // namespace gradwire::inline v0
