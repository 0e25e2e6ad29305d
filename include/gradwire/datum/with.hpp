// SPDX-License-Identifier: Apache-2.0
// A batch with one column more, or with one replaced:
//
//   auto data = with(ref_logprobs = reference.forward(rollout).result(), rollout);
//   auto more = with(reward = rewards, micro_batch = ids, data);
//
// The result shares everything else with the batch that was given, which stays as it was. Values of a per-token field:
// one range a sequence, or one flat range over all sequences, each with the targets' or the response's length, or a
// column of the same layout, which is shared; per sequence, group and batch: a range, or one number for all. `weights`
// takes a mask. Throws error (errc::data).
#pragma once

#include <gradwire/datum/batch.hpp>
#include <gradwire/datum/with_state.hpp>

namespace gradwire::inline v0 {

namespace detail {

template <class X>
inline constexpr bool is_column = false;
template <class T>
inline constexpr bool is_column<column<T>> = true;

template <class F, class T, class... Fields>
using batch_with = std::conditional_t<std::is_same_v<F, weights_field> || is_one_of<F, Fields...>, batch<T, Fields...>,
                                      batch<T, Fields..., F>>;

}  // namespace detail

template <class F, class Values, class T, class... Fields>
detail::batch_with<F, T, Fields...> with(const named_column<F, Values>& added, const batch<T, Fields...>& data) {
  static_assert(!is_id_field<F>, "gradwire: token ids are given when a datum is made; a batch keeps them");
  using namespace detail;
  constexpr std::size_t slot = std::is_same_v<F, weights_field> ? 0 : 1 + slot_of<F, Fields...>();
  const batch_state& from = *batch_access::state(data);
  constexpr auto infos = batch<T, Fields...>::infos;
  using result = batch_with<F, T, Fields...>;
  if constexpr (is_column<Values>) {
    return batch_access::make<result>(with_column<T>(from, slot, F::info, added.values, infos));
  } else {
    column_origin origin;
    if constexpr (std::is_same_v<Values, numbers>) {
      origin.flat = &added.values;
    } else if constexpr (std::is_same_v<Values, single_number>) {
      static_assert(
          F::info.level >= extent::sequence,
          "gradwire: one number is given for a field that is per token or per candidate; give the values of every "
          "sequence");
      origin.single = &added.values;
    } else if constexpr (std::is_same_v<Values, number_rows>) {
      static_assert(F::info.level <= extent::token,
                    "gradwire: a range of ranges is given for a field that is not per token; give one flat range");
      origin.rows = &added.values;
    } else {
      static_assert(token_mask<Values> && std::is_same_v<F, weights_field>,
                    "gradwire: a batch takes numbers for its columns, and a mask for `weights` only");
      if constexpr (token_mask<Values>) {
        origin.mask = &added.values;
        origin.weigh = [](const void* mask, const token_context& token) {
          return static_cast<double>((*static_cast<const Values*>(mask))(token));
        };
      }
    }
    return batch_access::make<result>(with_values<T>(from, slot, F::info, origin, infos));
  }
}

// Several columns; the batch comes last.
template <class F, class Values, class Next, class NextValues, class... Rest>
auto with(const named_column<F, Values>& first, const named_column<Next, NextValues>& second, const Rest&... rest) {
  return with(first, with(second, rest...));
}

}  // namespace gradwire::inline v0
