// SPDX-License-Identifier: Apache-2.0
// The output head: log softmax(final W_lmᵀ) at the wanted targets, and its gradient, a block of rows at a time, so that
// the [tokens, vocab] matrix of logits never exists. A block's exponentials are kept between the two passes; only a
// sequence that is longer than a block is computed twice.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <gradwire/loopback/model/backward.hpp>
#include <gradwire/loopback/model/forward.hpp>

namespace gradwire::inline v0 {
namespace loopback {

template <class T>
using slope_callback = std::function<void(std::size_t, std::span<const T>, std::span<T>)>;

template <class T>
struct head_example {
  packed_sequence sequence{};
  std::span<const std::int64_t> targets{};  // [length, candidates]; below 0: not wanted
  std::size_t candidates = 1;
  std::span<T> logprobs{};  // the same shape
};

// One row of `final` whose logits are wanted.
template <class T>
struct head_row {
  std::size_t row = 0;
  const std::int64_t* targets = nullptr;
  T* logprobs = nullptr;
  const T* slopes = nullptr;
  std::size_t candidates = 0;
};

// Rows of a block: 4 MiB of logits, but enough rows for the products to be efficient.
template <class T>
std::size_t head_block_rows(const pass<T>& p) {
  return std::clamp<std::size_t>((std::size_t{4} << 20) / (p.vocab() * sizeof(T)), 256, 1024);
}

// work.logits[i] = logits of the row row_of(i) of `final`; work.head_input holds their inputs. Computed in whole fours
// of rows, as packed_batch::pad() explains.
template <class T, class F>
void head_logits(const pass<T>& p, std::size_t count, F&& row_of) {
  const std::size_t hidden = p.hidden(), padded = (count + 3) / 4 * 4;
  T* input = p.work.head_input.at_least(padded * hidden);
  T* logits = p.work.logits.at_least(padded * p.vocab());
  p.workers.for_ranges(padded, row_grain, [&](std::size_t begin, std::size_t end, std::size_t) {
    for (std::size_t i = begin; i < end; ++i)
      std::copy_n(p.work.final.data() + row_of(std::min(i, count - 1)) * hidden, hidden, input + i * hidden);
    p.linear(input, hidden, p.layout.lm_head, p.vocab(), logits, begin, end);
  });
}

// Logprobs of the rows; leaves exp(logit - max) in work.logits and 1 / Σ in work.head_scale.
template <class T>
void head_logprobs(const pass<T>& p, std::span<const head_row<T>> rows) {
  head_logits(p, rows.size(), [&](std::size_t i) { return rows[i].row; });
  T* scale = p.work.head_scale.at_least(rows.size());
  p.workers.for_ranges(rows.size(), row_grain, [&](std::size_t begin, std::size_t end, std::size_t) {
    for (std::size_t i = begin; i < end; ++i) {
      T* logits = p.work.logits.data() + i * p.vocab();
      const T highest = maximum_of(logits, p.vocab());
      for (std::size_t c = 0; c < rows[i].candidates; ++c)
        if (rows[i].targets[c] >= 0) rows[i].logprobs[c] = logits[rows[i].targets[c]] - highest;
      const T total = sum_over_lanes<T>(p.vocab(), [&]<class V>(std::size_t j) {
        const V value = exponential<V>(load<V>(logits + j) - highest);
        store<V>(logits + j, value);
        return value;
      });
      scale[i] = T{1} / total;
      for (std::size_t c = 0; c < rows[i].candidates; ++c)
        if (rows[i].targets[c] >= 0) rows[i].logprobs[c] -= std::log(total);
    }
  });
}

// After head_logprobs of the same rows: dL/dfinal and the head's own gradient. Rows without slope are left out.
template <class T>
void head_backward(const pass<T>& p, std::span<const head_row<T>> rows, const gradient_target<T>& target) {
  const std::size_t hidden = p.hidden(), vocab = p.vocab();
  T *input = p.work.head_input.data(), *logits = p.work.logits.data();
  std::vector<std::size_t> kept{};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const head_row<T>& row = rows[i];
    bool wanted = false;
    for (std::size_t c = 0; c < row.candidates; ++c) wanted |= row.targets[c] >= 0 && row.slopes[c] != T{0};
    if (!wanted) continue;
    const std::size_t to = kept.size();
    if (to != i) {
      std::copy_n(input + i * hidden, hidden, input + to * hidden);
      std::copy_n(logits + i * vocab, vocab, logits + to * vocab);
    }
    kept.push_back(i);
  }
  if (kept.empty()) return;
  const adapter_layout* adapters = target.adapters;
  const bool below = !adapters || adapters->attention || adapters->mlp;  // is anything under the head trained?
  T* dinput = p.work.head_dinput.at_least(kept.size() * hidden);
  p.workers.for_ranges(kept.size(), row_grain, [&](std::size_t begin, std::size_t end, std::size_t) {
    for (std::size_t i = begin; i < end; ++i) {
      const head_row<T>& row = rows[kept[i]];
      T* slope = logits + i * vocab;
      T total = 0;
      for (std::size_t c = 0; c < row.candidates; ++c)
        if (row.targets[c] >= 0) total += row.slopes[c];
      const T factor = -total * p.work.head_scale[kept[i]];
      for_lanes<T>(vocab, [&]<class V>(std::size_t j) { store<V>(slope + j, load<V>(slope + j) * factor); });
      for (std::size_t c = 0; c < row.candidates; ++c)
        if (row.targets[c] >= 0) slope[row.targets[c]] += row.slopes[c];
    }
    if (!below) return;
    p.linear_backward(logits, vocab, p.layout.lm_head, hidden, dinput, begin, end);
    for (std::size_t i = begin; i < end; ++i)
      std::copy_n(dinput + i * hidden, hidden, p.work.dfinal.data() + rows[kept[i]].row * hidden);
  });
  weight_gradient(p, target, adapters ? &adapters->lm_head : nullptr, p.layout.lm_head, static_cast<const T*>(input),
                  hidden, static_cast<const T*>(logits), vocab, kept.size());
}

// Logprobs of all examples; with a slope callback also work.dfinal (which must have been prepared) and the gradient of
// the head. The callback is called once for each example.
template <class T>
void run_head(const pass<T>& p, std::span<const head_example<T>> examples, const slope_callback<T>* slope,
              const gradient_target<T>& target) {
  const std::size_t block = head_block_rows(p);
  if (slope) std::fill_n(p.work.dfinal.data(), p.rows() * p.hidden(), T{0});
  std::vector<head_row<T>> rows{};
  std::vector<std::vector<T>> slopes{};
  const auto finish = [&](std::span<const head_example<T>> group) {
    const std::span<const head_row<T>> all(rows);
    const bool whole = all.size() <= block;
    for (std::size_t at = 0; at < all.size(); at += block)
      head_logprobs(p, all.subspan(at, std::min(block, all.size() - at)));
    if (slope) {
      for (std::size_t e = 0; e < group.size(); ++e)
        (*slope)(group[e].sequence.index, group[e].logprobs, std::span<T>(slopes[e]));
      for (std::size_t at = 0; at < all.size(); at += block) {
        const std::span<const head_row<T>> part = all.subspan(at, std::min(block, all.size() - at));
        if (!whole) head_logprobs(p, part);
        head_backward(p, part, target);
      }
    }
    rows.clear();
    slopes.clear();
  };
  std::size_t first = 0;
  for (std::size_t e = 0; e < examples.size(); ++e) {
    const head_example<T>& example = examples[e];
    const std::size_t k = example.candidates;
    const auto wanted = [&](std::size_t t) {
      return std::any_of(&example.targets[t * k], &example.targets[t * k] + k, [](std::int64_t id) { return id >= 0; });
    };
    std::size_t count = 0;
    for (std::size_t t = 0; t < example.sequence.length; ++t) count += wanted(t);
    if (e > first && rows.size() + count > block) {
      finish(examples.subspan(first, e - first));
      first = e;
    }
    std::fill(example.logprobs.begin(), example.logprobs.end(), T{0});
    slopes.emplace_back(slope ? example.targets.size() : 0, T{0});
    for (std::size_t t = 0; t < example.sequence.length; ++t)
      if (wanted(t))
        rows.push_back({example.sequence.row + t, &example.targets[t * k], &example.logprobs[t * k],
                        slopes.back().data() + t * k, k});
  }
  finish(examples.subspan(first));
}

}  // namespace loopback
}  // namespace gradwire::inline v0
