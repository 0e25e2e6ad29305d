// SPDX-License-Identifier: Apache-2.0
// One column of a batch: shared, immutable, 64-byte aligned values with a readable tail of at least 64 zero bytes.
//
//   per token      padded() values, row s at offset[s], zeros between the rows
//   per sequence   sequences() values        per group   groups() values        per batch   1 value
//   per candidate  K planes of padded() values: candidate k of token t of sequence s is
//                  data[k * padded + offset[s] + t]
//
// A kernel writes a `writable_column` and turns it into a `column`, which copies nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include <gradwire/datum/extent.hpp>
#include <gradwire/datum/layout.hpp>
#include <gradwire/datum/shared.hpp>

namespace gradwire::inline v0 {

namespace detail {

inline std::size_t stored_values(const layout& shape, extent level) noexcept {
  switch (level) {
    case extent::candidate:
      return shape.padded() * shape.candidates();
    case extent::token:
      return shape.padded();
    case extent::sequence:
      return shape.sequences();
    case extent::group:
      return shape.groups();
    default:
      return 1;
  }
}

// Zeros behind every row, and the tail; the rows themselves are left to who fills them.
[[gnu::cold, gnu::noinline]] inline shared<block> allocate_rows(const layout& shape, extent level,
                                                                std::size_t value_bytes, unsigned slot) {
  auto made = allocate_column(stored_values(shape, level) * value_bytes, slot);
  if (level > extent::token) return made;
  const std::size_t planes = level == extent::candidate ? shape.candidates() : 1;
  for (std::size_t plane = 0; plane < planes; ++plane) {
    for (std::size_t s = 0; s < shape.sequences(); ++s) {
      const std::size_t end = shape.offset[s] + shape.length[s];
      const std::size_t next = s + 1 < shape.sequences() ? shape.offset[s + 1] : shape.padded();
      __builtin_memset(made->data + (plane * shape.padded() + end) * value_bytes, 0, (next - end) * value_bytes);
    }
  }
  return made;
}

}  // namespace detail

inline constexpr unsigned result_slot =
    13;  // the stagger of what a kernel writes; fields take 0, 1, 2 … in their order

template <class T>
class writable_column {
 public:
  writable_column(detail::shared<const layout> shape, extent level, unsigned slot = result_slot)
      : block_(detail::allocate_rows(*shape, level, sizeof(T), slot)), shape_(std::move(shape)), level_(level) {}

  T* data() const noexcept { return reinterpret_cast<T*>(block_->data); }
  std::size_t size() const noexcept { return detail::stored_values(*shape_, level_); }
  std::span<T> operator[](std::size_t s) const noexcept { return {data() + shape_->offset[s], shape_->length[s]}; }
  const layout& shape() const noexcept { return *shape_; }
  extent level() const noexcept { return level_; }

 private:
  template <class>
  friend class column;
  detail::shared<detail::block> block_;
  detail::shared<const layout> shape_;
  extent level_;
};

template <class T>
class column {
 public:
  using value_type = T;

  column() = default;
  column(writable_column<T>&& finished) noexcept  // implicit: `return finished;`
      : column(std::move(finished.block_), std::move(finished.shape_), finished.level_) {}
  column(detail::shared<const detail::block> values, detail::shared<const layout> shape, extent level) noexcept
      : block_(std::move(values)), shape_(std::move(shape)), level_(level) {}

  const T* data() const noexcept { return block_ ? reinterpret_cast<const T*>(block_->data) : nullptr; }
  std::size_t size() const noexcept { return block_ ? detail::stored_values(*shape_, level_) : 0; }

  // The values of sequence s, without padding (per token).
  std::span<const T> operator[](std::size_t s) const noexcept {
    return {data() + shape_->offset[s], shape_->length[s]};
  }
  // The values of sequence s for one of its K candidates (per candidate).
  std::span<const T> plane(std::size_t s, std::size_t candidate) const noexcept {
    return {data() + candidate * shape_->padded() + shape_->offset[s], shape_->length[s]};
  }

  extent level() const noexcept { return level_; }
  const layout& shape() const noexcept { return *shape_; }
  const detail::shared<const layout>& layout_handle() const noexcept { return shape_; }
  const detail::shared<const detail::block>& storage() const noexcept { return block_; }

 private:
  detail::shared<const detail::block> block_;
  detail::shared<const layout> shape_;
  extent level_ = extent::token;
};

// Its first value that is infinite or NaN; −1: all are finite.
template <class T>
std::int64_t first_not_finite(const column<T>& values) noexcept {
  const T* const x = values.data();
  for (std::size_t i = 0; i < values.size(); ++i)
    if (!(x[i] - x[i] == 0)) return static_cast<std::int64_t>(i);
  return -1;
}

template <class Source>
struct column_source;

// `field = column` shares it.
template <class T>
struct column_source<column<T>> {
  static column<T> take(column<T> given) noexcept { return given; }
};

}  // namespace gradwire::inline v0
