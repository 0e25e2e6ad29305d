// SPDX-License-Identifier: Apache-2.0
// A file descriptor that closes itself, and the sentences of what can go wrong with a file.
#pragma once

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>

#include <gradwire/error.hpp>
#include <gradwire/loopback/files/file_layer.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

// A disk that is full is told with HTTP's 507, so that a server can answer it.
[[noreturn]] inline void fail_file(const std::string& what, const std::filesystem::path& path, int code) {
  error_details details;
  details.operation = "checkpoint";
  details.value = path.string();
  if (code == ENOSPC || code == EFBIG || code == EDQUOT) details.http_status = 507;
  throw error(errc::config, "cannot " + what + " " + path.string() + ": " + std::strerror(code), std::move(details));
}

class open_file {
 public:
  open_file(const std::filesystem::path& path, int flags, const std::string& purpose)
      : open_file(AT_FDCWD, path, flags, purpose) {}
  open_file(int directory, const std::filesystem::path& path, int flags, const std::string& purpose) : path_(path) {
    file_ = files().open(directory, path.c_str(), flags | O_NOFOLLOW, 0600);
    if (file_ < 0) fail_file(purpose, path, errno);
  }
  open_file(const open_file&) = delete;
  open_file& operator=(const open_file&) = delete;
  ~open_file() { files().close(file_); }

  int descriptor() const noexcept { return file_; }

  void write(const void* data, std::size_t bytes) {
    const char* at = static_cast<const char*>(data);
    while (bytes > 0) {
      const ::ssize_t done = files().write(file_, at, bytes);
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) fail_file("write", path_, errno);
      at += done;
      bytes -= static_cast<std::size_t>(done);
    }
  }

  void sync() {
    if (files().sync(file_) != 0) fail_file("sync", path_, errno);
  }

 private:
  std::filesystem::path path_;
  int file_ = -1;
};

inline void sync_directory(const std::filesystem::path& path) {
  const int file = files().open(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY, 0);
  if (file < 0) fail_file("open", path, errno);
  const int failed = files().sync(file) != 0 ? errno : 0;
  files().close(file);
  if (failed) fail_file("sync", path, failed);
}

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
