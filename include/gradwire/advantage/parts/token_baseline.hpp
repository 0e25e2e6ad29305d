// SPDX-License-Identifier: Apache-2.0
// A baseline for each step of a group's sequences: the group's returns, weighted by how much their gradients vary so
// far.
//
//   path_variance(data, f)                    W_t = Σ_{j≤t} f(j)·(1 − 2·e^old_logprob + Σπ²) over unmasked tokens
//   importance_weights(data, cap)             min(e^clamp(old_logprob − sampler_logprob, ±20), cap)
//   steps_of(data, what)                      which step a token is: its place in the response, or its count of
//                                             unmasked tokens
//   less_token_baseline(data, G, W, steps, ε, tail)
//                                             G_t − Σ_i G_it·W_it / (Σ_i W_it + ε) over the group's tokens of the same
//                                             step, 0 at masked tokens; in a group of one G; tail: G also where only
//                                             the longest sequence is left
#pragma once

#include <gradwire/advantage/parts/walk.hpp>

namespace gradwire::inline v0 {
namespace advantages {

template <class Batch, class F>
numbers_per_token path_variance(const Batch& data, F&& factor) {
  const layout& shape = data.shape();
  numbers_per_token result(shape.padded());
  for (std::size_t s = 0; s < shape.sequences(); ++s) {
    double sum = 0;
    for (std::size_t i = shape.offset[s]; i < shape.offset[s] + shape.length[s]; ++i) {
      if (data.data(fields::weights)[i] != 0) {
        const double likelihood = __builtin_exp(static_cast<double>(data.data(fields::old_logprobs)[i]));
        sum += factor(i) * (1 - 2 * likelihood + static_cast<double>(data.data(fields::sum_pi_squared)[i]));
      }
      result[i] = sum;
    }
  }
  return result;
}

// min(e^clamp(old − sampler, ±20), cap) at unmasked tokens.
template <class Batch>
numbers_per_token importance_weights(const Batch& data, double cap) {
  numbers_per_token result(data.shape().padded());
  backwards(data, [&](std::size_t, std::size_t i, std::size_t, bool masked) {
    if (masked) return;
    const auto log_ratio = data.data(fields::old_logprobs)[i] - data.data(fields::sampler_logprobs)[i];
    const auto clamped = log_ratio < -20 ? -20 : log_ratio > 20 ? 20 : log_ratio;
    const double weight = __builtin_exp(static_cast<double>(clamped));
    result[i] = weight < cap ? weight : cap;
  });
  return result;
}

enum class step : unsigned char { position, unmasked };

using steps_per_token = detail::dynamic_array<std::size_t>;  // of unmasked tokens; the first one's is 0

template <class Batch>
steps_per_token steps_of(const Batch& data, step what) {
  const layout& shape = data.shape();
  steps_per_token result(shape.padded());
  for (std::size_t s = 0; s < shape.sequences(); ++s) {
    std::size_t next = 0;
    for (std::size_t i = shape.offset[s]; i < shape.offset[s] + shape.length[s]; ++i) {
      const bool masked = data.data(fields::weights)[i] == 0;
      result[i] = next;
      next += !masked || (what == step::position && next != 0);
    }
  }
  return result;
}

// Unmasked tokens of the group's longest and second longest sequences, and which is alone the longest (or none).
struct longest_two {
  double first = -1, second = -1;
  std::size_t alone = static_cast<std::size_t>(-1);
};
template <class Batch>
longest_two longest_of_group(const Batch& data, std::size_t begin, std::size_t end) {
  longest_two result;
  for (std::size_t s = begin; s < end; ++s) {
    const double tokens = data.weight_count()[s];
    if (tokens > result.first)
      result = {tokens, result.first, s};
    else if (tokens > result.second)
      result.second = tokens;
  }
  if (result.first == result.second) result.alone = static_cast<std::size_t>(-1);
  return result;
}

template <class Batch>
numbers_per_token less_token_baseline(const Batch& data, numbers_per_token reward_left, const numbers_per_token& weight,
                                      const steps_per_token& steps, double epsilon, bool free_tail) {
  const layout& shape = data.shape();
  for (std::size_t g = 0; g < shape.groups(); ++g) {
    const std::size_t begin = shape.group_begin[g], end = shape.group_begin[g + 1];
    const longest_two longest = longest_of_group(data, begin, end);
    const auto for_tokens = [&](auto&& f) {
      for (std::size_t s = begin; s < end; ++s)
        for (std::size_t i = shape.offset[s]; i < shape.offset[s] + shape.length[s]; ++i)
          f(s, i, data.data(fields::weights)[i] == 0);
    };
    detail::dynamic_array<double> weighted, weights;  // of each step
    for_tokens([&](std::size_t, std::size_t i, bool masked) {
      if (masked) return;
      weighted.resize(steps[i] + 1);
      weights.resize(steps[i] + 1);
      weighted[steps[i]] += reward_left[i] * weight[i];
      weights[steps[i]] += weight[i];
    });
    for_tokens([&](std::size_t s, std::size_t i, bool masked) {
      const bool tail = free_tail && s == longest.alone && static_cast<double>(steps[i]) >= longest.second;
      if (masked)
        reward_left[i] = 0;
      else if (end - begin > 1 && !tail)
        reward_left[i] -= weighted[steps[i]] / (weights[steps[i]] + epsilon);
    });
  }
  return reward_left;
}

}  // namespace advantages
}  // namespace gradwire::inline v0
