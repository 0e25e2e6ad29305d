// SPDX-License-Identifier: Apache-2.0
// A batch without its type: what crosses the waist.
#pragma once

#include <cstddef>
#include <vector>

#include <gradwire/datum/batch.hpp>

namespace gradwire::inline v0 {
namespace detail {

struct plain_batch {
  shared<const batch_state> state;
  const field_info* const* infos = nullptr;  // the fields in order, null at the end
  std::vector<std::size_t> borders{};        // sequences at which a request must begin, beside 0; ascending

  const layout& shape() const noexcept { return *state->shape; }
  const shared<const layout>& layout_handle() const noexcept { return state->shape; }
  std::size_t width() const noexcept { return shape().candidates() == 0 ? 1 : shape().candidates(); }
  extent level() const noexcept { return shape().candidates() == 0 ? extent::token : extent::candidate; }
  double weight(std::size_t s, std::size_t t) const noexcept {
    return value_at(state->columns[0]->data, state->kind, shape().offset[s] + t);
  }
};

struct chunk_range {      // what goes in one request
  std::size_t begin = 0;  // first sequence
  std::size_t end = 0;    // one after the last
};

template <class T, class... Fields>
plain_batch erase_type(const batch<T, Fields...>& data) {
  return {batch_access::state(data), batch<T, Fields...>::infos};
}

}  // namespace detail
}  // namespace gradwire::inline v0
