// SPDX-License-Identifier: Apache-2.0
// Checks of a conformance program: each prints a line, conclude() prints the counts that tests/conformance/run reads.
#pragma once

#include <cstdio>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>

namespace checks {

inline int passed = 0, failed = 0;

// What `body` returns is printed behind the name; what it throws is the failure.
inline bool check(const std::string& name, const std::function<std::string()>& body) {
  std::string outcome = "ok   " + name;
  bool good = true;
  try {
    const std::string detail = body();
    if (!detail.empty()) outcome += ": " + detail;
  } catch (const std::exception& failure) {
    outcome = "FAIL " + name + ": " + failure.what();
    good = false;
  }
  ++(good ? passed : failed);
  std::printf("%s\n", outcome.c_str());
  std::fflush(stdout);
  return good;
}

inline void require(bool condition, const std::string& what) {
  if (!condition) throw std::runtime_error(what);
}

inline std::string text_of(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", x);
  return text;
}

inline int conclude() {
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}

}  // namespace checks
