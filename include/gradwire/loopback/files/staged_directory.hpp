// SPDX-License-Identifier: Apache-2.0
// A directory that appears whole or not at all: files are written and synced under another name beside it, then the
// directory is renamed.
#pragma once

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <string_view>
#include <system_error>

#include <gradwire/error.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

[[noreturn]] inline void fail_file(const std::string& what, const std::filesystem::path& path, int code) {
  error_details details;
  details.operation = "checkpoint";
  details.value = path.string();
  throw error(errc::config, "cannot " + what + " " + path.string() + ": " + std::strerror(code), std::move(details));
}

// A file descriptor that closes itself.
class open_file {
 public:
  open_file(const std::filesystem::path& path, int flags, const std::string& purpose) : path_(path) {
    file_ = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
    if (file_ < 0) fail_file(purpose, path, errno);
  }
  open_file(const open_file&) = delete;
  open_file& operator=(const open_file&) = delete;
  ~open_file() { ::close(file_); }

  void write(const void* data, std::size_t bytes) {
    const char* at = static_cast<const char*>(data);
    while (bytes > 0) {
      const ssize_t done = ::write(file_, at, bytes);
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) fail_file("write", path_, errno);
      at += done;
      bytes -= static_cast<std::size_t>(done);
    }
  }

  void sync() {
    if (::fsync(file_) != 0) fail_file("sync", path_, errno);
  }

 private:
  std::filesystem::path path_;
  int file_ = -1;
};

inline void sync_directory(const std::filesystem::path& path) {
  open_file(path, O_RDONLY | O_DIRECTORY, "open").sync();
}

}  // namespace detail

class staged_directory {
 public:
  // errc::config if `target` exists and may not be replaced.
  staged_directory(const std::filesystem::path& target, bool overwrite) : target_(target), overwrite_(overwrite) {
    if (!target_.has_filename()) target_ = target_.parent_path();  // a trailing slash
    refuse_existing();
    std::error_code failure;
    std::filesystem::create_directories(parent(), failure);
    if (failure) detail::fail_file("create", parent(), failure.value());
    std::random_device random;
    for (;;) {
      staging_ = parent() / ("." + target_.filename().string() + ".partial-" + std::to_string(random()));
      if (::mkdir(staging_.c_str(), 0755) == 0) break;
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

  void commit() {
    detail::sync_directory(staging_);
    // Linux can refuse to replace, or swap the old directory out, in the same instant.
    const unsigned flags = overwrite_ && std::filesystem::exists(target_) ? RENAME_EXCHANGE : RENAME_NOREPLACE;
    if (::renameat2(AT_FDCWD, staging_.c_str(), AT_FDCWD, target_.c_str(), flags) != 0) {
      if (errno == EEXIST) refuse_existing();
      if (errno != EINVAL && errno != ENOSYS) detail::fail_file("rename to", target_, errno);
      // A file system without these flags.
      refuse_existing();
      std::error_code ignored;
      if (overwrite_) std::filesystem::remove_all(target_, ignored);
      if (::rename(staging_.c_str(), target_.c_str()) != 0) detail::fail_file("rename to", target_, errno);
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

}  // namespace loopback
}  // namespace gradwire::inline v0
