// SPDX-License-Identifier: Apache-2.0
// A read-only run of values that keeps its owner alive: a moved-in vector, or a borrowed span of somebody else's
// storage (a batch's column, a received body). Copies are cheap handles; no value is copied.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace gradwire::inline v0 {
namespace wire {

template <class T>
class array {
 public:
  using value_type = T;

  array() = default;
  array(std::vector<T> values) {  // implicit: a vector is an array
    auto owner = std::make_shared<const std::vector<T>>(std::move(values));
    data_ = owner->data();
    size_ = owner->size();
    owner_ = std::move(owner);
  }
  array(std::initializer_list<T> values) : array(std::vector<T>(values)) {}

  // Borrows: `owner` (may be empty when the caller outlives the use) keeps the storage alive.
  array(std::span<const T> values, std::shared_ptr<const void> owner)
      : data_(values.data()), size_(values.size()), owner_(std::move(owner)) {}

  const T* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  const T* begin() const noexcept { return data_; }
  const T* end() const noexcept { return data_ + size_; }
  const T& operator[](std::size_t i) const noexcept { return data_[i]; }
  std::span<const T> span() const noexcept { return {data_, size_}; }
  const std::shared_ptr<const void>& owner() const noexcept { return owner_; }

  // The run [from, from + count) with the same owner.
  array slice(std::size_t from, std::size_t count) const { return {span().subspan(from, count), owner_}; }

  friend bool operator==(const array& a, const array& b) noexcept {
    if (a.size_ != b.size_) return false;
    for (std::size_t i = 0; i < a.size_; ++i)
      if (!(a.data_[i] == b.data_[i])) return false;
    return true;
  }

 private:
  const T* data_ = nullptr;
  std::size_t size_ = 0;
  std::shared_ptr<const void> owner_;
};

}  // namespace wire
}  // namespace gradwire::inline v0
