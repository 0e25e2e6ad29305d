// SPDX-License-Identifier: Apache-2.0
// Handlers that cannot be lost: one that throws, or that is thrown away without having been called (memory ran out
// inside the library that was to call it), ends what it belongs to all the same.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace gradwire::inline v0 {
namespace detail {

// Object has `finished`, and `broken() noexcept`, which ends it with a failure.
template <class Object>
class last_call {
 public:
  explicit last_call(std::shared_ptr<Object> object) noexcept : object_(std::move(object)) {}
  last_call(last_call&&) noexcept = default;
  last_call& operator=(last_call&&) = delete;
  ~last_call() {
    if (object_ && !object_->finished) object_->broken();
  }
  std::shared_ptr<Object> take() noexcept { return std::move(object_); }

 private:
  std::shared_ptr<Object> object_;
};

// A handler that calls f(object, arguments…) unless the object is finished.
template <class Object, class F>
auto guarded(std::shared_ptr<Object> object, F f) {
  return [held = last_call<Object>(std::move(object)), f = std::move(f)](auto&&... arguments) mutable {
    const auto self = held.take();
    if (self->finished) return;
    try {
      f(*self, std::forward<decltype(arguments)>(arguments)...);
    } catch (...) {
      if (!self->finished) self->broken();
    }
  };
}

}  // namespace detail
}  // namespace gradwire::inline v0
