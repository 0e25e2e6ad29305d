// SPDX-License-Identifier: Apache-2.0
// What the data structures need of std::vector, at a fraction of its compile time: growth happens in one function for
// all element types. Elements must be trivially relocatable (numbers, handles, structs of them).
#pragma once

#include <cstddef>
#include <new>
#include <type_traits>

namespace gradwire::inline v0 {
namespace detail {

struct raw_array {
  std::byte* data = nullptr;
  std::size_t size = 0;      // elements
  std::size_t capacity = 0;  // bytes
};

[[gnu::cold, gnu::noinline]] inline void reserve_bytes(raw_array& array, std::size_t used, std::size_t needed) {
  if (needed <= array.capacity) return;
  const std::size_t doubled = 2 * array.capacity;
  const std::size_t capacity = needed > doubled ? needed : doubled;
  auto* memory = static_cast<std::byte*>(::operator new(capacity));
  if (used) __builtin_memcpy(memory, array.data, used);
  ::operator delete(array.data);
  array.data = memory;
  array.capacity = capacity;
}

template <class T>
class dynamic_array {
 public:
  using value_type = T;

  dynamic_array() = default;
  explicit dynamic_array(std::size_t size) { resize(size); }
  dynamic_array(const dynamic_array& other) : dynamic_array() {
    reserve(other.size());
    for (const T& each : other) push_back(each);
  }
  dynamic_array(dynamic_array&& other) noexcept : raw_(other.raw_) { other.raw_ = {}; }
  dynamic_array& operator=(dynamic_array other) noexcept {
    const raw_array mine = raw_;
    raw_ = other.raw_;
    other.raw_ = mine;
    return *this;
  }
  ~dynamic_array() {
    if (!raw_.data) return;
    if constexpr (!std::is_trivially_destructible_v<T>) {
      for (T& each : *this) each.~T();
    }
    ::operator delete(raw_.data);
  }

  void reserve(std::size_t size) { reserve_bytes(raw_, raw_.size * sizeof(T), size * sizeof(T)); }
  void resize(std::size_t size) {  // only grows; new elements are value-initialised
    if (size <= raw_.size) return;
    reserve(size);
    if constexpr (std::is_trivially_default_constructible_v<T>) {
      __builtin_memset(raw_.data + raw_.size * sizeof(T), 0, (size - raw_.size) * sizeof(T));
    } else {
      for (std::size_t i = raw_.size; i < size; ++i) new (raw_.data + i * sizeof(T)) T();
    }
    raw_.size = size;
  }
  void push_back(T element) {
    if ((raw_.size + 1) * sizeof(T) > raw_.capacity) reserve(raw_.size + 1);
    new (raw_.data + raw_.size * sizeof(T)) T(static_cast<T&&>(element));
    ++raw_.size;
  }

  T* data() noexcept { return reinterpret_cast<T*>(raw_.data); }
  const T* data() const noexcept { return reinterpret_cast<const T*>(raw_.data); }
  std::size_t size() const noexcept { return raw_.size; }
  bool empty() const noexcept { return raw_.size == 0; }
  T& operator[](std::size_t i) noexcept { return data()[i]; }
  const T& operator[](std::size_t i) const noexcept { return data()[i]; }
  T* begin() noexcept { return data(); }
  T* end() noexcept { return data() + raw_.size; }
  const T* begin() const noexcept { return data(); }
  const T* end() const noexcept { return data() + raw_.size; }

 private:
  raw_array raw_;
};

}  // namespace detail
}  // namespace gradwire::inline v0
