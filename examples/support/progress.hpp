// SPDX-License-Identifier: Apache-2.0
// A progress line on a terminal, and a line now and then in a file; and a run's metrics as JSON lines.
#pragma once

#include <boost/json.hpp>

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <utility>

class stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// "GRPO  [#######.............]  42/120  loss -0.013  reward 0.61  31k tok/s  left 0:41"
class progress {
 public:
  progress(std::string title, int steps) : title_(std::move(title)), steps_(steps) {}
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;
  ~progress() { end(); }

  // done of steps; if steps is only a bound, `share` says how far it is, from 0 to 1.
  void show(int done, std::initializer_list<std::pair<const char*, double>> values, double tokens_per_second,
            double share = -1) {
    const double part = share >= 0 ? share : static_cast<double>(done) / steps_;
    std::string line = title_ + "  [";
    for (int i = 0; i < 20; ++i) line += i < part * 20 ? '#' : '.';
    line += "] " + std::to_string(done) + (share >= 0 ? "" : "/" + std::to_string(steps_));
    char text[64];
    for (const auto& [name, value] : values) {
      std::snprintf(text, sizeof text, "  %s %.3f", name, value);
      line += text;
    }
    const double left = part > 0 ? clock_.seconds() * (1 - part) / part : 0;
    std::snprintf(text, sizeof text, "  %.1fk tok/s  left %d:%02d", tokens_per_second / 1000,
                  static_cast<int>(left) / 60, static_cast<int>(left) % 60);
    line += text;
    if (terminal_) {
      std::printf("\r\033[K%s", line.c_str());
      open_ = true;
    } else if (done % 20 == 0) {
      std::printf("%s\n", line.c_str());
    }
    std::fflush(stdout);
  }
  void end() {
    if (std::exchange(open_, false)) std::printf("\n");
  }

 private:
  std::string title_;
  int steps_;
  stopwatch clock_;
  bool terminal_ = isatty(STDOUT_FILENO) != 0;
  bool open_ = false;
};

// A new folder runs/<time>-<seed> with metrics.jsonl in it.
class run_log {
 public:
  run_log(const std::filesystem::path& runs, std::uint64_t seed) {
    const std::time_t now = std::time(nullptr);
    char stamp[32];
    std::strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", std::localtime(&now));
    const std::string name = std::string(stamp) + "-" + std::to_string(seed);
    folder_ = runs / name;
    for (int i = 2; std::filesystem::exists(folder_); ++i) folder_ = runs / (name + "-" + std::to_string(i));
    std::filesystem::create_directories(folder_);
    file_.open(folder_ / "metrics.jsonl");
    if (!file_) throw std::runtime_error("cannot write " + (folder_ / "metrics.jsonl").string());
  }
  const std::filesystem::path& folder() const { return folder_; }
  void write(const boost::json::object& line) { file_ << boost::json::serialize(line) << std::endl; }

 private:
  std::filesystem::path folder_;
  std::ofstream file_;
};
