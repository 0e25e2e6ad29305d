// SPDX-License-Identifier: Apache-2.0
// An intrusive handle and the memory of columns. Own code instead of <memory> and <atomic>, because every loss pays for
// what this header includes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace gradwire::inline v0 {
namespace detail {

// What is counted: the last handle calls `destroy`. A function instead of a virtual destructor lets a block of numbers
// and its header be one allocation.
struct counted {
  void (*destroy)(const counted*) noexcept = nullptr;
  mutable int references = 0;
};

// Objects of this kind are made with `new`.
template <class Object>
struct counted_object : counted {
  counted_object() noexcept {
    destroy = [](const counted* self) noexcept { delete static_cast<const Object*>(self); };
  }
  counted_object(const counted_object&) = delete;
  counted_object& operator=(const counted_object&) = delete;
};

template <class Object>
class shared {
 public:
  shared() = default;
  explicit shared(Object* object) noexcept : object_(object) { retain(); }
  shared(const shared& other) noexcept : object_(other.object_) { retain(); }
  shared(shared&& other) noexcept : object_(other.object_) { other.object_ = nullptr; }
  template <class Other>
  requires(std::is_convertible_v<Other*, Object*>) shared(shared<Other> other)
  noexcept : object_(other.release()) {}
  ~shared() {
    if (object_ && __atomic_sub_fetch(&object_->references, 1, __ATOMIC_ACQ_REL) == 0) object_->destroy(object_);
  }
  shared& operator=(shared other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }

  Object* get() const noexcept { return object_; }
  Object* operator->() const noexcept { return object_; }
  Object& operator*() const noexcept { return *object_; }
  explicit operator bool() const noexcept { return object_ != nullptr; }
  Object* release() noexcept { return std::exchange(object_, nullptr); }

 private:
  void retain() const noexcept {
    if (object_) __atomic_add_fetch(&object_->references, 1, __ATOMIC_RELAXED);
  }
  Object* object_ = nullptr;
};

// A piece of memory whose header lies in the same allocation.
struct block : counted {
  std::byte* data = nullptr;
  std::size_t bytes = 0;
  shared<const block> response_rows;  // of a column, a byte a sequence: 1 where zeros at the prompt's targets stand for
                                      // no value; null where every row is complete
};

// Where the first value of a batch's column lies inside its 4 KiB page: columns that a kernel reads side by side must
// not agree modulo 4096 (4K aliasing cost 13-18 % in the measurements). Seven slots are 576 bytes apart, the next seven
// lie between them.
constexpr std::size_t stagger(unsigned slot) noexcept { return (slot % 7 * 9 + slot / 7 * 4) % 64 * 64; }

inline constexpr std::size_t column_tail = 64;  // bytes that a kernel may read after the last value

[[gnu::cold, gnu::noinline]] inline shared<block> allocate(std::size_t bytes, std::size_t before,
                                                           std::size_t page_offset) {
  auto* memory = static_cast<std::byte*>(::operator new(sizeof(block) + before + bytes));
  auto* made = new (memory) block;
  made->destroy = [](const counted* self) noexcept {
    static_cast<const block*>(self)->~block();
    ::operator delete(const_cast<counted*>(self));
  };
  made->bytes = bytes;
  auto address = reinterpret_cast<std::uintptr_t>(memory + sizeof(block));
  if (before) address += (page_offset - address) % 4096;
  made->data = reinterpret_cast<std::byte*>(address);
  return shared<block>(made);
}

// Memory of a datum: small, and read only to be copied into a batch.
inline shared<block> allocate_compact(std::size_t bytes) { return allocate(bytes, 0, 0); }

// Pages of 2 MiB for memory of many of them: fewer faults when it is filled, fewer misses when it is swept.
[[gnu::cold, gnu::noinline]] inline void prefer_huge_pages([[maybe_unused]] std::byte* data,
                                                           [[maybe_unused]] std::size_t bytes) noexcept {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  const std::size_t into_page = reinterpret_cast<std::uintptr_t>(data) % 4096;
  ::madvise(data - into_page, bytes + into_page, MADV_HUGEPAGE);  // a wish; where it is refused nothing is lost
#endif
}

// Memory of a batch's column: aligned to 64 bytes, staggered, with a tail of zeros.
inline shared<block> allocate_column(std::size_t bytes, unsigned slot) {
  auto made = allocate(bytes + column_tail, 4096, stagger(slot));
  if (bytes >= std::size_t{4} << 20) prefer_huge_pages(made->data, bytes);
  __builtin_memset(made->data + bytes, 0, column_tail);
  return made;
}

}  // namespace detail
}  // namespace gradwire::inline v0
