// SPDX-License-Identifier: Apache-2.0
// How timeline.hpp works.
#pragma once

#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

#include <unistd.h>

#include <gradwire/trainer/impl/event_file.hpp>
#include <gradwire/trainer/timeline.hpp>
#include <gradwire/wire/json_writer.hpp>

namespace gradwire::inline v0 {
namespace detail {

struct timeline_file {
  struct open_operation {
    bool accepted = false;
  };
  std::mutex mutex;
  std::string path;
  int file = -1;
  time_point began = std::chrono::steady_clock::now();
  std::map<std::uint64_t, open_operation> running;

  explicit timeline_file(const std::string& at) : path(at), file(open_to_append(at)) {
    if (::ftruncate(file, 0) != 0) {  // two traces in one file are no JSON
      const int why = errno;
      ::close(file);
      throw error(errc::config, "cannot write to " + path + ": " + std::strerror(why));
    }
    append_to_file(file, path, "[\n");
  }
  ~timeline_file() {
    try {
      append_to_file(file, path, "{}]\n");
    } catch (const error&) {  // the trace can be read without it
    }
    ::close(file);
  }
  timeline_file(const timeline_file&) = delete;
  timeline_file& operator=(const timeline_file&) = delete;

  double microseconds(time_point at) const { return std::chrono::duration<double, std::micro>(at - began).count(); }

  // Bars of operations that overlap are told apart by their id: the format calls them asynchronous.
  void entry(std::string_view phase, std::string_view name, double at, const client_event* event, double duration = 0) {
    wire::json_writer line(wire::nonfinite::null);
    line.begin_object();
    line.key("ph").string(phase);
    line.key("name").string(name);
    line.key("ts").real(at);
    line.key("pid").integer(1);
    line.key("tid").integer(phase == "X" ? 2 : 1);
    if (phase == "X") line.key("dur").real(duration);
    if (phase == "i") line.key("s").string("g");
    if (event != nullptr && phase != "X") {
      line.key("cat").string("operation");
      line.key("id").integer(static_cast<std::int64_t>(event->operation));
    }
    if (event != nullptr) arguments(line, *event);
    line.end_object();
    append_to_file(file, path, std::move(line).take() + ",\n");
  }

  static void arguments(wire::json_writer& line, const client_event& event) {
    line.key("args").begin_object();
    if (!event.model_id.empty()) line.key("model").string(event.model_id);
    if (event.seq_id >= 0) line.key("seq_id").integer(event.seq_id);
    if (!event.request_id.empty()) line.key("request_id").string(event.request_id);
    if (event.attempt > 0) line.key("attempt").integer(event.attempt);
    if (event.tokens > 0) line.key("tokens").integer(static_cast<std::int64_t>(event.tokens));
    if (event.bytes > 0) line.key("bytes").integer(static_cast<std::int64_t>(event.bytes));
    if (!event.detail.empty()) line.key("detail").string(event.detail);
    line.end_object();
  }

  void take(const client_event& event) {
    std::lock_guard lock(mutex);
    const double at = microseconds(event.at);
    using type = client_event::type;
    const auto found = running.find(event.operation);
    switch (event.what) {
      case type::sent:
        if (found == running.end()) {
          running[event.operation] = {};
          entry("b", event.name, at, &event);
          entry("b", "send", at, &event);
        } else {
          entry("n", "sent again", at, &event);
        }
        return;
      case type::accepted:
        if (found == running.end() || std::exchange(found->second.accepted, true)) return;
        entry("e", "send", at, &event);
        entry("b", "wait", at, &event);
        return;
      case type::retrying:
        return entry("n", "retrying", at, &event);
      case type::queue:
        return entry("n", "queue: " + event.detail, at, &event);
      case type::finished:
      case type::failed:
        if (found == running.end()) return;
        entry("e", found->second.accepted ? "wait" : "send", at, &event);
        entry("e", event.name, at, &event);
        running.erase(found);
        return;
      case type::computed:
        return entry("X", "loss", at - 1e6 * event.seconds, &event, 1e6 * event.seconds);
      case type::session_at_risk:
        return entry("i", "session at risk", at, nullptr);
      case type::session_lost:
        return entry("i", "session lost", at, nullptr);
      case type::trainer_restarted:
        return entry("i", "trainer restarted", at, nullptr);
      case type::notice:
        return entry("i", "notice: " + event.detail, at, nullptr);
    }
  }
};

}  // namespace detail

GRADWIRE_DECL timeline::timeline(const std::string& path) : file_(std::make_shared<detail::timeline_file>(path)) {}

GRADWIRE_DECL client_event_handler timeline::handler() const {
  return [file = file_](const client_event& event) { file->take(event); };
}

GRADWIRE_DECL void timeline::mark(const std::string& name) const {
  std::lock_guard lock(file_->mutex);
  file_->entry("i", name, file_->microseconds(std::chrono::steady_clock::now()), nullptr);
}

}  // namespace gradwire::inline v0
