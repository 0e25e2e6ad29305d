// SPDX-License-Identifier: Apache-2.0
// While this lives, one line of a journal finds no room: the system says so, of the file that is always full.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string_view>
#include <utility>

#include <gradwire/trainer/run_journal.hpp>

class full_disk {
 public:
  explicit full_disk(int line) : full_disk([line, at = 0](std::string_view) mutable { return ++at == line; }) {}
  explicit full_disk(std::function<bool(std::string_view line)> which) {
    const std::lock_guard lock(mutex());
    state() = {std::move(which), 0};
    gradwire::detail::journal_write = &write;
  }
  ~full_disk() { gradwire::detail::journal_write = &::write; }
  full_disk(const full_disk&) = delete;
  full_disk& operator=(const full_disk&) = delete;

  int lines() const {  // that were to be written
    const std::lock_guard lock(mutex());
    return state().seen;
  }

 private:
  struct plan {
    std::function<bool(std::string_view)> is_for{};
    int seen = 0;
  };
  static std::mutex& mutex() {
    static std::mutex one;
    return one;
  }
  static plan& state() {
    static plan one;
    return one;
  }
  static ::ssize_t write(int file, const void* data, std::size_t bytes) {
    const std::lock_guard lock(mutex());
    ++state().seen;
    if (!state().is_for(std::string_view(static_cast<const char*>(data), bytes))) return ::write(file, data, bytes);
    const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
    const ::ssize_t written = ::write(full, data, bytes);
    const int code = errno;
    ::close(full);
    errno = code;
    return written;
  }
};
