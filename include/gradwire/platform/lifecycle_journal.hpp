// SPDX-License-Identifier: Apache-2.0
// The file of a run's lifecycle: a line for each fact, on disk when write() returns, in the format of run_journal.hpp.
//
//   {"fact":"creating","of":"policy_job","id":"gradwire-9f2c01ab-policy","type":"ours","crc32c":"0a1b2c3d"}
//
// One program writes to it at a time. A last line that was cut off is removed: what it was to say had not begun.
#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gradwire/platform/lifecycle_state.hpp>
#include <gradwire/transport/config.hpp>

namespace gradwire::inline v0 {
namespace platform {

class lifecycle_journal {
 public:
  // Reads what is there. errc::config where the file is another program's, is being written by another one, or has a
  // damaged line: what may exist would not be known.
  GRADWIRE_DECL explicit lifecycle_journal(std::string file);
  GRADWIRE_DECL ~lifecycle_journal();
  lifecycle_journal(const lifecycle_journal&) = delete;
  lifecycle_journal& operator=(const lifecycle_journal&) = delete;

  GRADWIRE_DECL void write(const lifecycle_event& event);

  lifecycle_state state() const {
    const std::lock_guard lock(mutex_);
    return state_;
  }
  const std::vector<std::string>& notices() const noexcept { return notices_; }  // of a line that was cut off
  const std::string& file() const noexcept { return file_; }

  // A line of the file without its end; nothing if it is not as it was written.
  GRADWIRE_DECL static std::optional<lifecycle_event> parse(std::string_view line);
  GRADWIRE_DECL static std::string line_of(const lifecycle_event& event);

 private:
  GRADWIRE_DECL void read();

  std::string file_;
  int descriptor_ = -1;
  std::size_t size_ = 0;  // of the file
  mutable std::mutex mutex_;
  lifecycle_state state_;
  std::vector<std::string> notices_;
};

}  // namespace platform
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/platform/impl/lifecycle_journal.hpp>
#endif
