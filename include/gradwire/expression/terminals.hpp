// SPDX-License-Identifier: Apache-2.0
// What a formula may read of the batch's shape. None of it depends on logprobs, and all of it belongs to the whole
// logical batch, however it is chunked on its way to a trainer.
#pragma once

#include <gradwire/expression/expression.hpp>

namespace gradwire::inline v0 {

enum class shape_value : unsigned char {
  position,           // per token: 0, 1, … within the sequence's targets
  weight_sum,         // per sequence: Σ w
  weight_count,       // per sequence: number of w ≠ 0
  sequence_length,    // per sequence: number of targets
  group_size,         // per group: sequences of the group
  counted_size,       // per group: of these, with any w ≠ 0
  total_weight,       // batch: Σ Σ w
  total_count,        // batch: number of w ≠ 0
  sequence_count,     // batch
  counted_sequences,  // batch: sequences with any w ≠ 0
  group_count,        // batch
  counted_groups,     // batch: groups with any w ≠ 0
};

template <shape_value What, extent Level>
struct terminal {
  using expression_tag = void;
  static constexpr extent level = Level;
  static constexpr shape_value what = What;
};

namespace terminals {
inline constexpr terminal<shape_value::position, extent::token> position{};
inline constexpr terminal<shape_value::weight_sum, extent::sequence> weight_sum{};
inline constexpr terminal<shape_value::weight_count, extent::sequence> weight_count{};
inline constexpr terminal<shape_value::sequence_length, extent::sequence> sequence_length{};
inline constexpr terminal<shape_value::group_size, extent::group> group_size{};
inline constexpr terminal<shape_value::counted_size, extent::group> counted_size{};
inline constexpr terminal<shape_value::total_weight, extent::batch> total_weight{};
inline constexpr terminal<shape_value::total_count, extent::batch> total_count{};
inline constexpr terminal<shape_value::sequence_count, extent::batch> sequence_count{};
inline constexpr terminal<shape_value::counted_sequences, extent::batch> counted_sequences{};
inline constexpr terminal<shape_value::group_count, extent::batch> group_count{};
inline constexpr terminal<shape_value::counted_groups, extent::batch> counted_groups{};
}  // namespace terminals

}  // namespace gradwire::inline v0
