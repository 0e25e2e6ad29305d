// SPDX-License-Identifier: Apache-2.0
// Sequences of any length beside each other as the rows of one matrix, and how a batch is cut into such matrices so
// that memory stays bounded and every thread has the same work.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

namespace gradwire::inline v0 {
namespace loopback {

struct packed_sequence {
  std::size_t row = 0;     // first row
  std::size_t length = 0;  // tokens
  std::size_t index = 0;   // in the caller's batch
};

struct packed_batch {
  std::vector<packed_sequence> sequences{};
  std::vector<std::int32_t> tokens{};      // one a row
  std::vector<std::uint32_t> positions{};  // in its sequence, one a row
  std::size_t longest = 0;
  std::size_t used = 0;  // rows of the sequences; the others are padding

  std::size_t rows() const { return tokens.size(); }

  void add(std::size_t index, std::span<const std::int32_t> sequence) {
    sequences.push_back({rows(), sequence.size(), index});
    tokens.insert(tokens.end(), sequence.begin(), sequence.end());
    for (std::size_t t = 0; t < sequence.size(); ++t) positions.push_back(static_cast<std::uint32_t>(t));
    longest = std::max(longest, sequence.size());
    used = rows();
  }

  // Products work on four rows at a time and treat a remainder differently. With whole fours a row's result does not
  // depend on which other sequences are in the batch.
  void pad() {
    while (tokens.size() % 4 != 0) tokens.push_back(0), positions.push_back(0);
  }
};

// Which sequences each thread takes, as micro-batches. In a plan that is shared there is one list only, and all
// threads work on each micro-batch together.
struct work_plan {
  std::vector<std::vector<std::vector<std::size_t>>> micro_batches{};  // [thread][micro-batch][sequence]
  bool shared = false;
};

// Longest first to the least loaded thread; the same plan for the same lengths. A micro-batch holds at most `budget`
// tokens, or one longer sequence. If the threads would wait for one of them, they share every micro-batch instead.
inline work_plan plan_work(std::span<const std::size_t> lengths, std::size_t threads, std::size_t budget,
                           std::size_t tokens_worth_attention) {
  const auto cost = [&](std::size_t i) {
    return static_cast<double>(lengths[i]) *
           (1 + static_cast<double>(lengths[i]) / static_cast<double>(tokens_worth_attention));
  };
  std::vector<std::size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::vector<std::vector<std::size_t>> share(threads);
  work_plan plan;
  if (threads > 1) {
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return lengths[a] > lengths[b]; });
    std::vector<double> load(threads, 0.0);
    double total = 0;
    for (const std::size_t i : order) {
      const auto least = std::min_element(load.begin(), load.end());
      *least += cost(i), total += cost(i);
      share[static_cast<std::size_t>(least - load.begin())].push_back(i);
    }
    const double longest_load = *std::max_element(load.begin(), load.end());
    plan.shared = longest_load > 1.25 * total / static_cast<double>(threads) && total > 128;
    if (plan.shared) {
      std::sort(order.begin(), order.end());
      share.assign(1, order);
    }
    for (std::vector<std::size_t>& mine : share) std::sort(mine.begin(), mine.end());
  } else {
    share.assign(1, order);
  }
  const std::size_t limit = plan.shared ? budget * threads : budget;
  for (const std::vector<std::size_t>& mine : share) {
    std::size_t all = 0, tokens = 0;
    for (const std::size_t i : mine) all += lengths[i];
    const std::size_t parts = (all + limit - 1) / limit;
    const std::size_t even = parts == 0 ? 0 : (all + parts - 1) / parts;  // micro-batches of like size
    std::vector<std::vector<std::size_t>> batches;
    for (const std::size_t i : mine) {
      if (batches.empty() || tokens >= even || tokens + lengths[i] > limit) batches.emplace_back(), tokens = 0;
      batches.back().push_back(i);
      tokens += lengths[i];
    }
    plan.micro_batches.push_back(std::move(batches));
  }
  return plan;
}

}  // namespace loopback
}  // namespace gradwire::inline v0
