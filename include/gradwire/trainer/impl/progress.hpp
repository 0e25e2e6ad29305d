// SPDX-License-Identifier: Apache-2.0
// How progress.hpp works.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <mutex>
#include <utility>

#include <unistd.h>

#include <gradwire/trainer/progress.hpp>

namespace gradwire::inline v0 {
namespace detail {

GRADWIRE_DECL std::string duration_text(double seconds) {
  const auto whole = static_cast<long long>(std::max(0.0, seconds));
  char text[48];
  if (whole < 60) {
    std::snprintf(text, sizeof text, "%llds", whole);
  } else if (whole < 3600) {
    std::snprintf(text, sizeof text, "%lldm%02llds", whole / 60, whole % 60);
  } else {
    std::snprintf(text, sizeof text, "%lldh%02lldm", whole / 3600, whole / 60 % 60);
  }
  return text;
}

GRADWIRE_DECL std::string queue_text(const std::string& state, double seconds) {
  if (!state.starts_with("paused")) return {};
  std::string why = state.substr(6);
  if (!why.empty()) why.erase(0, 1);  // "paused_rate_limit", "paused: billing"
  for (char& c : why) c = c == '_' ? ' ' : c;
  const auto first = why.find_first_not_of(' ');
  why = first == std::string::npos ? "" : why.substr(first);
  return "paused: " + (why.empty() ? "" : why + ", ") + duration_text(seconds);
}

struct progress_line {
  using clock = std::chrono::steady_clock;
  struct moment {
    int step;
    std::size_t tokens;
    clock::time_point at;
  };
  static constexpr std::size_t window = 16;  // steps that the rate is taken over

  std::mutex mutex;  // show() comes from the loop, the queue's state from the network
  const bool terminal = ::isatty(STDOUT_FILENO) != 0;
  std::string title, text, waiting;
  int steps = 0;
  std::size_t tokens = 0;
  clock::time_point began = clock::now();
  std::deque<moment> recent;
  bool open = false;

  void draw() {
    std::printf("\r\033[K%s%s%s", text.c_str(), waiting.empty() ? "" : "  ", waiting.c_str());
    std::fflush(stdout);
    open = true;
  }

  void close() {
    if (std::exchange(open, false)) std::printf("\n");
    std::fflush(stdout);
  }

  std::string bar(double part) const {
    std::string drawn = title + "  [";
    for (int i = 0; i < 20; ++i) drawn += i < part * 20 ? '#' : '.';
    return drawn + "] ";
  }

  void show(int done, const std::vector<named_value>& values, std::size_t more, double share) {
    const auto now = clock::now();
    tokens += more;
    recent.push_back({done, tokens, now});
    if (recent.size() > window + 1) recent.pop_front();
    const moment& first = recent.front();
    const double seconds = std::chrono::duration<double>(now - first.at).count();
    text = bar(share >= 0 ? share : static_cast<double>(done) / std::max(1, steps)) + std::to_string(done);
    if (share < 0) text += "/" + std::to_string(steps);
    char number[64];
    for (const auto& [name, value] : values) {
      std::snprintf(number, sizeof number, " %.3f", value);
      text += "  " + name + number;
    }
    if (seconds > 0 && tokens > first.tokens) {
      std::snprintf(number, sizeof number, "  %.1fk tok/s",
                    static_cast<double>(tokens - first.tokens) / seconds / 1000);
      text += number;
    }
    if (share >= 0) {
      text += "  " + duration_text(std::chrono::duration<double>(now - began).count());
    } else if (done > first.step) {
      text += "  left " + duration_text(seconds / (done - first.step) * (steps - done));
    }
    if (terminal) {
      draw();
    } else if (done % 20 == 0 || done == steps) {
      std::printf("%s\n", text.c_str());
      std::fflush(stdout);
    }
  }

  void take(const client_event& event) {
    using type = client_event::type;
    if (event.what != type::queue && event.what != type::finished && event.what != type::failed) return;
    std::lock_guard lock(mutex);
    auto now_waiting = event.what == type::queue ? queue_text(event.detail, event.seconds) : std::string();
    if (now_waiting == waiting || text.empty()) return;
    const bool first = waiting.empty();
    waiting = std::move(now_waiting);
    if (terminal) {
      draw();
    } else if (first) {
      std::printf("%s  %s\n", title.c_str(), waiting.c_str());
      std::fflush(stdout);
    }
  }
};

}  // namespace detail

GRADWIRE_DECL progress::progress() : line_(std::make_shared<detail::progress_line>()) {}

GRADWIRE_DECL progress::~progress() {
  if (line_) end();
}

GRADWIRE_DECL void progress::start(std::string title, int steps) {
  std::lock_guard lock(line_->mutex);
  line_->close();
  line_->title = line_->text = std::move(title);
  line_->steps = steps;
  line_->tokens = 0;
  line_->recent.assign(1, {0, 0, detail::progress_line::clock::now()});
  line_->began = line_->recent.front().at;
}

GRADWIRE_DECL void progress::show(int done, std::vector<named_value> values, std::size_t tokens, double share) {
  std::lock_guard lock(line_->mutex);
  line_->show(done, values, tokens, share);
}

GRADWIRE_DECL void progress::end() {
  std::lock_guard lock(line_->mutex);
  line_->close();
}

GRADWIRE_DECL client_event_handler progress::handler() const {
  return [line = line_](const client_event& event) { line->take(event); };
}

}  // namespace gradwire::inline v0
