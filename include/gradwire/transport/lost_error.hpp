// SPDX-License-Identifier: Apache-2.0
// What happens to an error that nobody can receive any more: a future was dropped, a callback threw. It is told once,
// to stderr unless the program says otherwise. Nothing is swallowed.
#pragma once

#include <cstdio>
#include <exception>
#include <functional>
#include <mutex>
#include <utility>

namespace gradwire::inline v0 {

using lost_error_handler = std::function<void(std::exception_ptr)>;

namespace detail {

struct lost_errors {
  std::mutex mutex;
  lost_error_handler handler;
};

inline lost_errors& lost_errors_of_the_program() {
  static auto* const never_destroyed = new lost_errors;  // an error may still be lost while statics go
  return *never_destroyed;
}

inline void report_lost_error(std::exception_ptr lost) noexcept {
  try {
    lost_error_handler handler;
    {
      auto& program = lost_errors_of_the_program();
      std::lock_guard lock(program.mutex);
      handler = program.handler;
    }
    if (handler) return handler(lost);
    std::rethrow_exception(lost);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "lost error of a future that was dropped: %s\n", e.what());
  } catch (...) {
    std::fputs("lost error of a future that was dropped (of a type without text)\n", stderr);
  }
}

}  // namespace detail

// Sets what is called with each lost error, from any thread; empty means stderr. Returns what was set before.
inline lost_error_handler on_lost_error(lost_error_handler handler) {
  auto& program = detail::lost_errors_of_the_program();
  std::lock_guard lock(program.mutex);
  std::swap(program.handler, handler);
  return handler;
}

}  // namespace gradwire::inline v0
