// SPDX-License-Identifier: Apache-2.0
// Where a process of the crash tests ends itself: GRADWIRE_TEST_CRASH_AT=point:k, the k-th time that the point is
// reached. And what the process was told otherwise.
#pragma once

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <mutex>
#include <string>
#include <string_view>

inline std::string setting(const char* name) {
  const char* text = std::getenv((std::string("GRADWIRE_TEST_") + name).c_str());
  return text ? text : "";
}

struct crash_at {
  std::string point{};
  long left = 0;

  crash_at() {
    const std::string all = setting("CRASH_AT");
    const auto colon = all.find(':');
    if (colon == all.npos) return;
    point = all.substr(0, colon);
    left = std::atol(all.c_str() + colon + 1);
  }
  bool is_here(std::string_view name) { return name == point && --left == 0; }
};
inline crash_at& wanted() {
  static crash_at at;
  return at;
}

[[noreturn]] inline void die() {
  ::kill(::getpid(), SIGKILL);
  ::_exit(1);  // not reached
}

inline std::mutex points_mutex;  // points are on two threads

// `before_death` is the last thing that this process does.
template <class F>
void at_point(std::string_view name, F before_death) {
  const std::lock_guard lock(points_mutex);
  if (!wanted().is_here(name)) return;
  before_death();
  die();
}
inline void at_point(const char* name) {
  at_point(name, [] {});
}

// Before a line of the journal, in the middle of it, after it.
inline ::ssize_t deadly_journal(int file, const void* data, std::size_t bytes) {
  at_point("journal");
  at_point("journal-half", [&] { (void)!::write(file, data, bytes / 2); });
  const ::ssize_t written = ::write(file, data, bytes);
  at_point("journaled");
  return written;
}
