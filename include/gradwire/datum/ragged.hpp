// SPDX-License-Identifier: Apache-2.0
// A per-token column as rows of their real lengths: what a loss sees that is a plain function and not a formula.
// The view owns nothing; the column, or the batch, must outlive it.
#pragma once

#include <cstddef>
#include <span>

#include <gradwire/datum/column.hpp>
#include <gradwire/datum/layout.hpp>

namespace gradwire::inline v0 {

template <class T>  // const T: to read, T: to write
class ragged_view {
 public:
  class iterator {
   public:
    using value_type = std::span<T>;
    using difference_type = std::ptrdiff_t;
    iterator() = default;
    iterator(const ragged_view* view, std::size_t s) noexcept : view_(view), s_(s) {}
    std::span<T> operator*() const noexcept { return (*view_)[s_]; }
    iterator& operator++() noexcept {
      ++s_;
      return *this;
    }
    iterator operator++(int) noexcept { return {view_, s_++}; }
    bool operator==(const iterator& other) const noexcept { return s_ == other.s_; }

   private:
    const ragged_view* view_ = nullptr;
    std::size_t s_ = 0;
  };

  // data: an array in the per-token layout of shape.
  ragged_view(T* data, const layout& shape) noexcept : data_(data), shape_(&shape) {}

  std::size_t size() const noexcept { return shape_->sequences(); }
  std::size_t tokens() const noexcept { return shape_->tokens(); }
  std::span<T> operator[](std::size_t s) const noexcept { return {data_ + shape_->offset[s], shape_->length[s]}; }
  iterator begin() const noexcept { return {this, 0}; }
  iterator end() const noexcept { return {this, size()}; }
  const layout& shape() const noexcept { return *shape_; }
  T* data() const noexcept { return data_; }

 private:
  T* data_;
  const layout* shape_;
};

template <class T>
ragged_view<const T> rows(const column<T>& values) noexcept {
  return {values.data(), values.shape()};
}

template <class T>
ragged_view<T> rows(const writable_column<T>& values) noexcept {
  return {values.data(), values.shape()};
}

}  // namespace gradwire::inline v0
