// SPDX-License-Identifier: Apache-2.0
// Several batches as one logical batch that is trained on in parts:
//
//   auto step = trainer.forward_backward_custom(accumulate(part_1, part_2, part_3), my_grpo{});
//
// Every denominator, group and order of the loss is that of all parts together, so k parts and one batch give the same
// gradient. Each part goes in requests of its own. Ids of partitions (micro_batch, prompt_id) are those of the whole.
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <gradwire/datum/batch.hpp>
#include <gradwire/transport/config.hpp>

namespace gradwire::inline v0 {

template <class Batch>
struct accumulated {
  Batch whole{};                       // all parts, one after the other
  std::vector<std::size_t> borders{};  // the first sequence of each part but the first
};

namespace detail {

// The parts one after the other. Throws error{data} when they do not go together.
GRADWIRE_DECL shared<const batch_state> join_batches(std::span<const shared<const batch_state>> parts,
                                                     const field_info* const* infos);

template <class T, class... Fields>
accumulated<batch<T, Fields...>> accumulate_range(std::span<const batch<T, Fields...>> parts) {
  std::vector<shared<const batch_state>> states;
  std::vector<std::size_t> borders;
  std::size_t sequences = 0;
  for (const auto& part : parts) {
    if (sequences > 0) borders.push_back(sequences);
    sequences += part.size();
    states.push_back(batch_access::state(part));
  }
  using whole = batch<T, Fields...>;
  return {batch_access::make<whole>(join_batches(states, whole::infos)), std::move(borders)};
}

}  // namespace detail

template <class T, class... Fields, class... Rest>
requires(std::same_as<Rest, batch<T, Fields...>>&&...) auto accumulate(const batch<T, Fields...>& first,
                                                                       const Rest&... rest) {
  const batch<T, Fields...> parts[] = {first, rest...};
  return detail::accumulate_range(std::span<const batch<T, Fields...>>(parts));
}
template <class T, class... Fields>
auto accumulate(const std::vector<batch<T, Fields...>>& parts) {
  return detail::accumulate_range(std::span<const batch<T, Fields...>>(parts));
}

}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/trainer/impl/accumulate.hpp>
#endif
