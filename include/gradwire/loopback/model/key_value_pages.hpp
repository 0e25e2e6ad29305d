// SPDX-License-Identifier: Apache-2.0
// Keys and values of past tokens, in pages of 16 positions. Samples of one prompt share its pages and have pages of
// their own for what they add. Keys lie transposed, so that 16 scores are computed side by side.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include <gradwire/loopback/compute/buffer.hpp>
#include <gradwire/loopback/compute/lanes.hpp>
#include <gradwire/loopback/model/forward.hpp>

namespace gradwire::inline v0 {
namespace loopback {

inline constexpr std::size_t page_positions = 16;

struct page_shape {
  std::size_t layers = 0, heads = 0, head_dim = 0;  // key-value heads

  std::size_t head_size() const { return 2 * page_positions * head_dim; }
  std::size_t size() const { return layers * heads * head_size(); }
  // Keys [head_dim, 16], then values [16, head_dim].
  std::size_t head_offset(std::size_t layer, std::size_t head) const { return (layer * heads + head) * head_size(); }
};

// The positions [0, length) of a sequence, or of its part after the prompt.
class page_list {
 public:
  std::size_t length = 0;

  const float* page(std::size_t i) const { return pages_[i].data(); }
  std::size_t count() const { return pages_.size(); }

  // Room for `positions` of them; pages come from `spare` if there are any.
  void reserve(const page_shape& shape, std::size_t positions, std::vector<buffer<float>>& spare) {
    while (pages_.size() * page_positions < positions) {
      if (spare.empty()) {
        pages_.emplace_back(shape.size());
        pages_.back().fill_with_zero();  // unused positions are multiplied by 0 and must not be NaN
      } else {
        pages_.push_back(std::move(spare.back()));
        spare.pop_back();
      }
    }
  }

  void release(std::vector<buffer<float>>& spare) {
    for (buffer<float>& page : pages_) spare.push_back(std::move(page));
    pages_.clear();
    length = 0;
  }

  // k and v of one token, all heads; the caller advances `length` after the last layer.
  void write(const page_shape& shape, std::size_t layer, std::size_t position, const float* k, const float* v) {
    float* page = pages_[position / page_positions].data();
    const std::size_t slot = position % page_positions, d = shape.head_dim;
    for (std::size_t head = 0; head < shape.heads; ++head) {
      float* keys = page + shape.head_offset(layer, head);
      float* values = keys + page_positions * d + slot * d;
      for (std::size_t i = 0; i < d; ++i) keys[i * page_positions + slot] = k[head * d + i];
      for (std::size_t i = 0; i < d; ++i) values[i] = v[head * d + i];
    }
  }

 private:
  std::vector<buffer<float>> pages_;
};

// Attention of one new token: `queries` heads that share key-value head `head`, over the prompt and the sample's own
// tokens. q and out are [queries, head_dim]; scores has room for every position, rounded up to pages.
inline void attend(const page_shape& shape, std::size_t layer, std::size_t head, const page_list& prompt,
                   const page_list& own, std::size_t own_length, const float* q, std::size_t queries, float* out,
                   float* scores) {
  typedef float positions __attribute__((vector_size(page_positions * sizeof(float))));
  const std::size_t d = shape.head_dim;
  const float scale = 1 / std::sqrt(static_cast<float>(d));
  const auto for_each_page = [&](auto&& f) {
    const auto visit = [&](const page_list& pages, std::size_t length) {
      for (std::size_t i = 0; i * page_positions < length; ++i)
        f(pages.page(i) + shape.head_offset(layer, head), std::min(page_positions, length - i * page_positions));
    };
    visit(prompt, prompt.length);
    visit(own, own_length);
  };
  for (std::size_t query = 0; query < queries; ++query) {
    const float* q_row = q + query * d;
    float* out_row = out + query * d;
    std::size_t total = 0;
    for_each_page([&](const float* page, std::size_t used) {
      positions sum{};
      for (std::size_t i = 0; i < d; ++i) {
        positions keys;
        std::memcpy(&keys, page + i * page_positions, sizeof(keys));
        sum += keys * q_row[i];
      }
      sum *= scale;
      std::memcpy(scores + total, &sum, sizeof(sum));
      total += used;  // the next page overwrites the unused positions
    });
    detail::softmax_row(scores, total, total);
    std::fill_n(out_row, d, 0.0F);
    std::size_t at = 0;
    for_each_page([&](const float* page, std::size_t used) {
      const float* values = page + page_positions * d;
      for (std::size_t j = 0; j < used; ++j) {
        const float weight = scores[at + j];
        for_lanes<float>(d, [&]<class V>(std::size_t i) {
          store<V>(out_row + i, load<V>(out_row + i) + load<V>(values + j * d + i) * weight);
        });
      }
      at += used;
    });
  }
}

}  // namespace loopback
}  // namespace gradwire::inline v0
