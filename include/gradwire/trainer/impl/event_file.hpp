// SPDX-License-Identifier: Apache-2.0
// How event_file.hpp works.
#pragma once

#include <cerrno>
#include <chrono>
#include <cstring>
#include <protozero/pbf_writer.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <gradwire/error.hpp>
#include <gradwire/trainer/event_file.hpp>
#include <gradwire/wire/crc32c.hpp>

namespace gradwire::inline v0 {
namespace detail {

// Appends all of it in one call, so that two processes never mix within a record.
inline void append_to_file(int file, const std::string& path, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw error(errc::config, "cannot write to " + path + ": " + std::strerror(errno));
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

inline int open_to_append(const std::string& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file < 0) throw error(errc::config, "cannot write to " + path + ": " + std::strerror(errno));
  return file;
}

inline double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// The field's framing: (rotated CRC) + a constant, because the CRC of data that holds CRCs is weak.
inline std::string masked_crc32c(std::string_view data) {
  const std::uint32_t crc = crc32c(data);
  const std::uint32_t masked = ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
  std::string bytes(4, '\0');
  std::memcpy(bytes.data(), &masked, 4);
  return bytes;
}

}  // namespace detail

GRADWIRE_DECL event_file::event_file(const std::string& folder) {
  char host[256] = "host";
  ::gethostname(host, sizeof host - 1);
  const double now = detail::seconds_since_1970();
  path_ = folder + "/events.out.tfevents." + std::to_string(static_cast<std::int64_t>(now)) + "." + host + "." +
          std::to_string(::getpid());
  file_ = detail::open_to_append(path_);
  std::string message;
  protozero::pbf_writer event(message);
  event.add_double(1, now);              // wall_time
  event.add_string(3, "brain.Event:2");  // file_version
  record(message);
}

GRADWIRE_DECL event_file::~event_file() {
  if (file_ >= 0) ::close(file_);
}

GRADWIRE_DECL void event_file::scalars(std::int64_t step, double wall_time, std::span<const named_value> values) {
  std::string message;
  protozero::pbf_writer event(message);
  event.add_double(1, wall_time);
  event.add_int64(2, step);
  {
    protozero::pbf_writer summary(event, 5);
    for (const auto& each : values) {
      protozero::pbf_writer value(summary, 1);
      value.add_string(1, each.name);                      // tag
      value.add_float(2, static_cast<float>(each.value));  // simple_value
    }
  }
  record(message);
}

GRADWIRE_DECL void event_file::record(const std::string& message) {
  const std::uint64_t size = message.size();
  std::string head(8, '\0');
  std::memcpy(head.data(), &size, 8);
  detail::append_to_file(file_, path_, head + detail::masked_crc32c(head) + message + detail::masked_crc32c(message));
}

}  // namespace gradwire::inline v0
