// SPDX-License-Identifier: Apache-2.0
// The system calls that saving is made of, and the places where a crash is interesting. A test puts its own layer in
// their place (one that forgets what was not synced, say) or a function that ends the process at the k-th call.
#pragma once

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

// As the system calls of these names: -1 and errno.
class file_layer {
 public:
  virtual ~file_layer() = default;
  virtual int open(int directory, const char* path, int flags, ::mode_t mode) {
    return ::openat(directory, path, flags | O_CLOEXEC, mode);
  }
  virtual ::ssize_t write(int file, const void* data, std::size_t bytes) { return ::write(file, data, bytes); }
  virtual int sync(int file) { return ::fsync(file); }
  virtual int close(int file) { return ::close(file); }
  virtual int rename(int directory, const char* from, const char* to, unsigned flags) {
    return ::renameat2(directory, from, directory, to, flags);
  }
};

inline std::atomic<file_layer*> other_file_layer{nullptr};

inline file_layer& files() {
  static file_layer system;
  file_layer* other = other_file_layer.load(std::memory_order_acquire);
  return other ? *other : system;
}

inline std::atomic<void (*)(const char* name)> crash_point_hook{nullptr};

inline void crash_point(const char* name) {
  if (auto* hook = crash_point_hook.load(std::memory_order_relaxed)) hook(name);
}

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
