// SPDX-License-Identifier: Apache-2.0
// The platform's clock: the machine's, and whatever a test has added to it. States that take time are timelines: what
// they are at a moment is looked up when somebody asks, so that nothing runs in between.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

namespace gradwire::inline v0 {
namespace loopback {
namespace hosting {

class platform_clock {
 public:
  // Seconds since the platform's start. From any thread, as are the others.
  double now() const {
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begun_;
    return passed.count() + added_.load();
  }
  void advance(double seconds) {
    double before = added_.load();
    while (!added_.compare_exchange_weak(before, before + seconds)) continue;
  }

  // 2026-03-02T08:00:00.123456Z
  std::string text(double moment) const {
    const auto since_1970 = std::chrono::duration<double>(epoch_.time_since_epoch()).count() + moment;
    const auto whole = static_cast<std::time_t>(since_1970);
    return text_of(whole, static_cast<int>((since_1970 - static_cast<double>(whole)) * 1e6));
  }

  // microseconds < 0: without a fraction
  static std::string text_of(std::time_t when, int microseconds = -1) {
    std::tm parts{};
    gmtime_r(&when, &parts);
    char text[64];
    std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    if (microseconds >= 0)
      length += static_cast<std::size_t>(std::snprintf(text + length, sizeof text - length, ".%06d", microseconds));
    return std::string(text, length) + "Z";
  }

 private:
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  const std::chrono::system_clock::time_point epoch_ = std::chrono::system_clock::now();
  std::atomic<double> added_{0};
};

// Which state begins when.
class timeline {
 public:
  void begin(double at, std::string state) {  // moments do not go back
    while (!phases_.empty() && phases_.back().first > at) phases_.pop_back();
    phases_.emplace_back(at, std::move(state));
  }
  const std::string& at(double moment) const {
    static const std::string none;
    const std::string* found = &none;
    for (const auto& [from, state] : phases_)
      if (from <= moment) found = &state;
    return *found;
  }
  // When the state of that moment began.
  double since(double moment) const {
    double begun = 0;
    for (const auto& [from, state] : phases_)
      if (from <= moment) begun = from;
    return begun;
  }

 private:
  std::vector<std::pair<double, std::string>> phases_;
};

}  // namespace hosting
}  // namespace loopback
}  // namespace gradwire::inline v0
