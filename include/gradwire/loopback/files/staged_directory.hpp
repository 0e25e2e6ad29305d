// SPDX-License-Identifier: Apache-2.0
// A directory that appears whole or not at all: files are written and synced under another name beside it, then the
// directory is renamed. Only its owner may read it.
#pragma once

#include <signal.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <random>
#include <string>
#include <string_view>
#include <system_error>

#include <gradwire/error.hpp>
#include <gradwire/loopback/files/checksums.hpp>
#include <gradwire/loopback/files/open_file.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

// "<pid>-<word>-" of this process. A container that was started again often has the pid that it had before.
inline std::string mark_of_this_process() {
  static const std::string word = std::to_string(std::random_device{}());
  return std::to_string(::getpid()) + "-" + word + "-";
}

// "x.partial-<pid>-<word>-…" of a process that is no more. What a process that lives has begun is still being written.
inline bool is_left_over(std::string_view name, std::string_view mark) {
  const auto at = name.rfind(mark);
  if (at == name.npos) return false;
  const std::string_view who = name.substr(at + mark.size());
  ::pid_t pid = 0;
  if (std::from_chars(who.data(), who.data() + who.size(), pid).ec != std::errc() || pid <= 0) return false;
  if (pid == ::getpid()) return !who.starts_with(mark_of_this_process());
  return ::kill(pid, 0) != 0 && errno == ESRCH;
}

}  // namespace detail

class staged_directory {
 public:
  static constexpr std::string_view mark = ".partial-";

  // errc::config if `target` exists and may not be replaced.
  staged_directory(const std::filesystem::path& target, bool overwrite) : target_(target), overwrite_(overwrite) {
    if (!target_.has_filename()) target_ = target_.parent_path();  // a trailing slash
    refuse_existing();
    std::error_code failure;
    std::filesystem::create_directories(parent(), failure);
    if (failure) detail::fail_file("create", parent(), failure.value());
    std::random_device random;
    for (;;) {
      staging_ = parent() / ("." + target_.filename().string() + std::string(mark) + detail::mark_of_this_process() +
                             std::to_string(random()));
      if (::mkdir(staging_.c_str(), 0700) == 0) break;
      if (errno != EEXIST) detail::fail_file("create", staging_, errno);
    }
  }
  staged_directory(const staged_directory&) = delete;
  staged_directory& operator=(const staged_directory&) = delete;
  ~staged_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(staging_, ignored);
  }

  std::filesystem::path file(std::string_view name) const { return staging_ / name; }

  void write_text(std::string_view name, std::string_view text) const {
    detail::open_file out(file(name), O_WRONLY | O_CREAT | O_EXCL, "create");
    out.write(text.data(), text.size());
    out.sync();
  }

  // Adds what reading checks (checksums.hpp); after the last file.
  void write_checksums() const { write_text(checksums_name, checksums_of(staging_)); }

  void commit() {
    detail::sync_directory(staging_);
    // Linux can refuse to replace, or swap the old directory out, in the same instant.
    const unsigned flags = overwrite_ && std::filesystem::exists(target_) ? RENAME_EXCHANGE : RENAME_NOREPLACE;
    if (detail::files().rename(AT_FDCWD, staging_.c_str(), target_.c_str(), flags) != 0) {
      if (errno == EEXIST) refuse_existing();
      if (errno != EINVAL && errno != ENOSYS) detail::fail_file("rename to", target_, errno);
      // A file system without these flags.
      refuse_existing();
      std::error_code ignored;
      if (overwrite_) std::filesystem::remove_all(target_, ignored);
      if (detail::files().rename(AT_FDCWD, staging_.c_str(), target_.c_str(), 0) != 0)
        detail::fail_file("rename to", target_, errno);
    }
    detail::sync_directory(parent());
  }

 private:
  std::filesystem::path parent() const { return target_.has_parent_path() ? target_.parent_path() : "."; }

  void refuse_existing() const {
    if (overwrite_ || !std::filesystem::exists(std::filesystem::symlink_status(target_))) return;
    error_details details;
    details.operation = "checkpoint";
    details.value = target_.string();
    throw error(errc::config,
                "there is a checkpoint at " + target_.string() + " already; choose another name or ask to overwrite it",
                std::move(details));
  }

  std::filesystem::path target_, staging_;
  bool overwrite_ = false;
};

// Removes what processes that are no more have left in `folder`.
inline void remove_left_over(const std::filesystem::path& folder) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored))
    if (detail::is_left_over(entry.path().filename().string(), staged_directory::mark))
      std::filesystem::remove_all(entry.path(), ignored);
}

}  // namespace loopback
}  // namespace gradwire::inline v0
