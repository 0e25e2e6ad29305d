// SPDX-License-Identifier: Apache-2.0
// How lifecycle_journal.hpp works.
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <utility>

#include <gradwire/platform/impl/lifecycle_state.hpp>
#include <gradwire/platform/lifecycle_journal.hpp>
#include <gradwire/trainer/impl/run_journal.hpp>
#include <gradwire/wire/json_document.hpp>
#include <gradwire/wire/json_writer.hpp>

namespace gradwire::inline v0 {
namespace platform {

GRADWIRE_DECL std::string lifecycle_journal::line_of(const lifecycle_event& event) {
  wire::json_writer out;
  out.begin_object();
  out.key("fact").string(name_of(event.what));
  if (event.of) out.key("of").string(to_string(*event.of));
  out.key("id").string(event.id);
  if (!event.type.empty()) out.key("type").string(event.type);
  if (!event.previous.empty()) out.key("previous").string(event.previous);
  if (!event.path.empty()) out.key("path").string(event.path);
  if (event.step >= 0) out.key("step").integer(event.step);
  return gradwire::detail::sealed(std::move(out).take());
}

GRADWIRE_DECL std::optional<lifecycle_event> lifecycle_journal::parse(std::string_view line) {
  const std::size_t seal = line.rfind(gradwire::detail::journal_seal);
  if (seal == line.npos || gradwire::detail::sealed(std::string(line.substr(0, seal))) != std::string(line) + "\n")
    return {};
  try {
    const wire::json_document json(line);
    const auto text = [&](const char* key) -> std::string {
      const wire::json_node* found = json.find(json.root(), key);
      return found ? std::string(found->text) : std::string();
    };
    const auto fact = fact_named(text("fact"));
    if (!fact) return {};
    lifecycle_event event{.what = *fact, .id = text("id"), .type = text("type"), .previous = text("previous")};
    event.path = text("path");
    if (const std::string of = text("of"); !of.empty()) {
      for (const part each : all_parts)
        if (of == to_string(each)) event.of = each;
      if (!event.of) return {};
    }
    if (const std::string step = text("step"); !step.empty())
      if (std::from_chars(step.data(), step.data() + step.size(), event.step).ec != std::errc()) return {};
    return event;
  } catch (const error&) {
    return {};
  }
}

GRADWIRE_DECL lifecycle_journal::lifecycle_journal(std::string file) : file_(std::move(file)) {
  const std::filesystem::path folder = std::filesystem::absolute(file_).parent_path();
  std::error_code ignored;
  std::filesystem::create_directories(folder, ignored);
  descriptor_ = ::open(file_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor_ < 0) gradwire::detail::fail_journal(file_, std::string("cannot be opened: ") + std::strerror(errno));
  try {
    struct ::stat about {};
    if (::fstat(descriptor_, &about) != 0 || !S_ISREG(about.st_mode))
      gradwire::detail::fail_journal(file_, "is no regular file; what is written there could not be read again");
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0)
      gradwire::detail::fail_journal(file_, "is written by another program");
    read();
    const int above = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);  // the new name is to last, too
    if (above >= 0) ::fsync(above), ::close(above);
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

GRADWIRE_DECL lifecycle_journal::~lifecycle_journal() { ::close(descriptor_); }

GRADWIRE_DECL void lifecycle_journal::read() {
  std::string text;
  char part[16384];
  for (::ssize_t got = 0; (got = ::read(descriptor_, part, sizeof part)) != 0;) {
    if (got < 0) gradwire::detail::fail_journal(file_, std::string("cannot be read: ") + std::strerror(errno));
    text.append(part, static_cast<std::size_t>(got));
  }
  std::size_t lines = 0, end = 0, from = 0;
  for (; (end = text.find('\n', from)) != text.npos; from = end + 1) {
    ++lines;
    const auto event = parse(std::string_view(text).substr(from, end - from));
    if (!event)
      gradwire::detail::fail_journal(
          file_, "has a line that was not written by a run, or is damaged: line " + std::to_string(lines) +
                     "; what the run has made may not be known. List jobs and deployments, and name another file");
    state_.apply(*event);
  }
  const std::string_view rest = std::string_view(text).substr(from);
  constexpr std::string_view beginning = "{\"fact\":";
  if (!rest.empty()) {
    if (beginning.substr(0, rest.size()) != rest.substr(0, beginning.size()))
      gradwire::detail::fail_journal(file_, "has no line of a run in it; name another file");
    notices_.push_back(file_ + ", line " + std::to_string(lines + 1) + ": was cut off, and is removed");
    if (::ftruncate(descriptor_, static_cast<::off_t>(from)) != 0 || ::fdatasync(descriptor_) != 0)
      gradwire::detail::fail_journal(file_, std::string("cannot be mended: ") + std::strerror(errno));
  }
  size_ = from;
}

GRADWIRE_DECL void lifecycle_journal::write(const lifecycle_event& event) {
  const std::string line = line_of(event);
  const std::lock_guard lock(mutex_);
  const ::ssize_t written = gradwire::detail::journal_write.load()(descriptor_, line.data(), line.size());
  if (written != static_cast<::ssize_t>(line.size()) || ::fdatasync(descriptor_) != 0) {
    const int code = written < 0 || written == static_cast<::ssize_t>(line.size()) ? errno : ENOSPC;
    (void)!::ftruncate(descriptor_, static_cast<::off_t>(size_));  // half a line is removed by the next reader, too
    gradwire::detail::fail_journal(file_, std::string("cannot be written: ") + std::strerror(code));
  }
  size_ += line.size();
  state_.apply(event);
}

}  // namespace platform
}  // namespace gradwire::inline v0
