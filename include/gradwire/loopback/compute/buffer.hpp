// SPDX-License-Identifier: Apache-2.0
// Plain storage for matrices: 64-byte aligned, not initialised, never copied by accident.
#pragma once

#include <cstddef>
#include <cstring>
#include <new>
#include <utility>

namespace gradwire::inline v0 {
namespace loopback {

template <class T>
class buffer {
 public:
  buffer() = default;
  explicit buffer(std::size_t size) : data_(allocate(size)), size_(size) {}
  buffer(buffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  buffer& operator=(buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~buffer() { ::operator delete (data_, std::align_val_t{64}); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }

  // Room for at least `size` values; what was there is lost when it has to grow.
  T* at_least(std::size_t size) {
    if (size > size_) {
      ::operator delete (std::exchange(data_, nullptr), std::align_val_t{64});
      size_ = 0;
      data_ = allocate(size);
      size_ = size;
    }
    return data_;
  }

  void fill_with_zero() {
    if (size_ > 0) std::memset(static_cast<void*>(data_), 0, size_ * sizeof(T));
  }

  buffer copy() const {
    buffer result(size_);
    if (size_ > 0) std::memcpy(static_cast<void*>(result.data_), data_, size_ * sizeof(T));
    return result;
  }

 private:
  static T* allocate(std::size_t size) {
    return static_cast<T*>(::operator new (size * sizeof(T), std::align_val_t{64}));
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace loopback
}  // namespace gradwire::inline v0
