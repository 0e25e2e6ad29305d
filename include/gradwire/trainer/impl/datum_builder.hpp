// SPDX-License-Identifier: Apache-2.0
// Datums of the wire from the columns of a batch, which they borrow and keep alive.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/trainer/plain_batch.hpp>
#include <gradwire/wire/messages_training.hpp>

namespace gradwire::inline v0 {
namespace detail {

struct datum_builder {
  const plain_batch& data;
  std::shared_ptr<const void> owner = std::make_shared<const shared<const batch_state>>(data.state);

  template <class T>
  wire::array<T> borrow(const T* values, std::size_t count) const {
    return {std::span<const T>(values, count), owner};
  }

  // The tokens that the model reads, and the pictures among them.
  void append_input(const token_core& row, std::vector<wire::chunk>& chunks) const {
    std::size_t from = 0;
    const auto text_up_to = [&](std::size_t end) {
      if (end > from) chunks.push_back(wire::encoded_text{borrow(row.input().data() + from, end - from)});
    };
    for (const image_segment& picture : row.images) {
      text_up_to(picture.begin);
      chunks.push_back(
          wire::image{.data = std::string(static_cast<const char*>(picture.bytes.data), picture.bytes.size),
                      .format = picture.format,
                      .expected_tokens = static_cast<std::int64_t>(picture.size)});
      from = picture.begin + picture.size;
    }
    text_up_to(row.length);
  }

  static void append_spans(const provenance_runs& runs, std::vector<wire::provenance_span>& spans) {
    for (const provenance_span& run : runs)
      spans.push_back({run.sampled, std::string(run.sequence_id()), static_cast<std::int64_t>(run.offset),
                       static_cast<std::int64_t>(run.length)});
  }

  // Tokens and targets of sequence s, and where they come from.
  wire::datum begin(std::size_t s) const {
    const token_core& row = *data.state->tokens->rows[s];
    wire::datum made;
    append_input(row, made.model_input);
    const std::size_t count = data.shape().length[s] * data.width();
    const std::int32_t* const targets = row.candidates == 0 ? row.targets().data() : row.candidate_ids.data();
    made.loss_fn_inputs.push_back({"target_tokens", wire::tensor(borrow(targets, count), shape_of(s))});
    append_spans(row.input_spans, made.model_input_spans);
    append_spans(row.target_spans, made.loss_fn_input_spans);
    return made;
  }

  wire::shape_type shape_of(std::size_t s) const {
    wire::shape_type shape{static_cast<std::int64_t>(data.shape().length[s])};
    if (data.level() == extent::candidate) shape.push_back(static_cast<std::int64_t>(data.width()));
    return shape;
  }

  // A row-major [T, K] tensor from the batch's planes; `f(value, index in storage)` makes each value.
  template <class F>
  wire::tensor made(std::size_t s, F&& f) const {
    const std::size_t length = data.shape().length[s];
    std::vector<float> values(length * data.width());
    for (std::size_t t = 0; t < length; ++t) {
      for (std::size_t k = 0; k < data.width(); ++k) {
        values[t * data.width() + k] = f(k * data.shape().padded() + data.shape().offset[s] + t, t);
      }
    }
    return wire::tensor(wire::array<float>(std::move(values)), shape_of(s));
  }
};

}  // namespace detail
}  // namespace gradwire::inline v0
