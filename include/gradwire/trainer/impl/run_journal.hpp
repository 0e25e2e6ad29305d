// SPDX-License-Identifier: Apache-2.0
// How run_journal.hpp works.
#pragma once

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <string_view>
#include <thread>

#include <gradwire/trainer/run_journal.hpp>
#include <gradwire/wire/crc32c.hpp>
#include <gradwire/wire/json_document.hpp>
#include <gradwire/wire/json_writer.hpp>

namespace gradwire::inline v0 {
namespace detail {

GRADWIRE_DECL std::string digest_of(const plain_batch& data) {
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> sum(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_DigestInit_ex(sum.get(), EVP_sha256(), nullptr);
  const auto add = [&](const void* from, std::size_t bytes) { EVP_DigestUpdate(sum.get(), from, bytes); };
  const auto add_number = [&](std::uint64_t value) { add(&value, sizeof value); };
  const layout& shape = data.shape();
  add_number(shape.sequences());
  for (std::size_t g = 0; g < shape.groups(); ++g) add_number(shape.group_begin[g + 1]);
  add_number(shape.role.size());
  add(shape.role.data(), shape.role.size());
  add_number(static_cast<std::uint64_t>(data.state->kind));
  add_number(data.state->columns.size());
  for (std::size_t s = 0; s < shape.sequences(); ++s) {
    const token_core& tokens = *data.state->tokens->rows[s];
    add_number(tokens.length);
    add_number(tokens.ids.size());
    add(tokens.ids.data(), tokens.ids.size() * sizeof(std::int32_t));
    add_number(tokens.candidates);
    add(tokens.candidate_ids.data(), tokens.candidate_ids.size() * sizeof(std::int32_t));
    add_number(tokens.segments.size());
    for (const token_segment& part : tokens.segments) {
      add_number(static_cast<std::uint64_t>(part.role));
      add_number(part.size);
    }
    add_number(tokens.images.size());
    for (const image_segment& image : tokens.images) {
      add_number(image.begin);
      add(image.format, sizeof image.format);
      add_number(image.bytes.size);
      add(image.bytes.data, image.bytes.size * bytes_of(image.bytes.kind));
    }
  }
  for (std::size_t i = 0; i < data.state->columns.size(); ++i) {
    const block& column = *data.state->columns[i];
    add_number(column.bytes);
    add(column.data, column.bytes);
  }
  unsigned char digest[32];
  EVP_DigestFinal_ex(sum.get(), digest, nullptr);
  std::string text(digest_mark);
  for (const unsigned char byte : digest) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

inline constexpr std::string_view journal_seal = ",\"crc32c\":\"";

inline std::string sealed(std::string line) {
  char sum[9];
  std::snprintf(sum, sizeof sum, "%08x", static_cast<unsigned>(crc32c(line)));
  return line.append(journal_seal).append(sum).append("\"}\n");
}

inline std::string to_line(const journal_entry& entry) {
  wire::json_writer out(wire::nonfinite::null);
  out.begin_object();
  out.key("batch").integer(static_cast<std::int64_t>(entry.batch));
  out.key("seed").string(std::to_string(entry.seed));
  out.key("loss").real(entry.loss);
  out.key("digest").string(entry.digest);
  out.key("state").string(entry.state);
  out.key("boot").string(entry.boot_id);
  return sealed(std::move(out).take());
}

inline std::optional<journal_entry> parse_journal_line(std::string_view line) {
  const std::size_t seal = line.rfind(journal_seal);
  if (seal == line.npos || sealed(std::string(line.substr(0, seal))) != std::string(line) + "\n") return {};
  try {
    const wire::json_document json(line);
    const auto text = [&](const char* key) -> std::string_view {
      const wire::json_node* found = json.find(json.root(), key);
      return found ? found->text : std::string_view();
    };
    const auto number = [&](const char* key, auto& value) {
      const std::string_view digits = text(key);
      return std::from_chars(digits.data(), digits.data() + digits.size(), value).ec == std::errc();
    };
    journal_entry entry;
    if (!number("batch", entry.batch) || !number("seed", entry.seed)) return {};
    if (!number("loss", entry.loss)) entry.loss = std::numeric_limits<double>::quiet_NaN();
    entry.digest = text("digest");
    entry.state = text("state");
    entry.boot_id = text("boot");
    return entry;
  } catch (const error&) {
    return {};
  }
}

// A line written when a digest was computed in another way says nothing of the batch.
inline bool are_other_digests(const std::string& before, const std::string& now) {
  return !before.empty() && !now.empty() && before.starts_with(digest_mark) == now.starts_with(digest_mark) &&
         before != now;
}

// Is this what a trainer that has gone looks like? A step that was not sent is judged by why.
inline bool is_trainer_gone(const std::exception_ptr& failure, bool was_open) {
  try {
    std::rethrow_exception(failure);
  } catch (const error& said) {
    const int status = said.details().http_status;
    switch (said.kind()) {
      case errc::transport:
      case errc::timeout:
      case errc::outcome_unknown:
        return true;
      case errc::closed:
        return !said.details().cause || is_trainer_gone(said.details().cause, was_open);
      case errc::status:
        return (status >= 502 && status <= 504) || (was_open && (status == 404 || status == 410 || status == 412));
      default:
        return false;
    }
  } catch (...) {  // what a loss threw
    return false;
  }
}

[[noreturn]] inline void fail_journal(const std::string& file, const std::string& what) {
  throw error(errc::config, "the journal " + file + " " + what);
}

}  // namespace detail

GRADWIRE_DECL run_journal::run_journal(std::string file) : file_(std::move(file)) {
  const std::filesystem::path folder = std::filesystem::absolute(file_).parent_path();
  std::error_code ignored;
  std::filesystem::create_directories(folder, ignored);
  descriptor_ = ::open(file_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor_ < 0) detail::fail_journal(file_, std::string("cannot be opened: ") + std::strerror(errno));
  try {
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) detail::fail_journal(file_, "is written by another program");
    read();
    const int above = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);  // the new name is to last, too
    if (above >= 0) ::fsync(above), ::close(above);
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

GRADWIRE_DECL run_journal::~run_journal() { ::close(descriptor_); }

GRADWIRE_DECL void run_journal::read() {
  std::string text;
  char part[65536];
  for (::ssize_t got = 0; (got = ::read(descriptor_, part, sizeof part)) != 0;) {
    if (got < 0) detail::fail_journal(file_, std::string("cannot be read: ") + std::strerror(errno));
    text.append(part, static_cast<std::size_t>(got));
  }
  std::size_t lines = 0, good = 0, end = 0;
  for (std::size_t from = 0; (end = text.find('\n', from)) != text.npos; from = end + 1) {
    ++lines;
    if (auto entry = parse(std::string_view(text).substr(from, end - from))) {
      ++good;
      take(std::move(*entry));
    } else {
      notices_.push_back(file_ + ", line " + std::to_string(lines) + ": damaged, and not used");
    }
  }
  const std::size_t whole = text.rfind('\n') + 1;  // npos + 1 is 0
  const std::string_view rest = std::string_view(text).substr(whole);
  constexpr std::string_view beginning = "{\"batch\":";
  if ((lines > 0 && good == 0) || (lines == 0 && rest.substr(0, beginning.size()) != beginning.substr(0, rest.size())))
    detail::fail_journal(file_, "has no line of a journal in it; name another file");
  if (!rest.empty()) {
    notices_.push_back(file_ + ", line " + std::to_string(lines + 1) + ": was cut off, and is removed");
    text.resize(whole);
    if (::ftruncate(descriptor_, static_cast<::off_t>(whole)) != 0 || ::fdatasync(descriptor_) != 0)
      detail::fail_journal(file_, std::string("cannot be mended: ") + std::strerror(errno));
  }
  size_ = text.size();
  repeat_unsaved();
  if (!repeated_.empty())
    notices_.push_back("batches " + std::to_string(repeated_.front().batch) + " to " +
                       std::to_string(repeated_.back().batch) + " were finished after the last saved state (" +
                       (state().empty() ? "there is none" : state()) + ") and are repeated");
}

GRADWIRE_DECL void run_journal::take(journal_entry one) {
  while (!entries_.empty() && entries_.back().batch >= one.batch) entries_.pop_back();
  entries_.push_back(std::move(one));
  for (kept_ = entries_.size(); kept_ > 0 && entries_[kept_ - 1].state.empty();) --kept_;
}

GRADWIRE_DECL void run_journal::repeat_unsaved() {
  repeated_.insert(repeated_.end(), entries_.begin() + static_cast<std::ptrdiff_t>(kept_), entries_.end());
  entries_.resize(kept_);
}

GRADWIRE_DECL void run_journal::write(const journal_entry& finished) {
  for (const journal_entry& before : repeated_) {
    if (before.batch == finished.batch && detail::are_other_digests(before.digest, finished.digest))
      throw error(errc::data,
                  "batch " + std::to_string(finished.batch) + " is repeated with other data than it had before (" +
                      finished.digest.substr(0, 12) + "…, then " + before.digest.substr(0, 12) +
                      "…); make the batches from the same data and seed",
                  {.value = finished.digest});
  }
  const std::string line = detail::to_line(finished);
  const ::ssize_t written = detail::journal_write.load()(descriptor_, line.data(), line.size());
  if (written != static_cast<::ssize_t>(line.size()) || ::fdatasync(descriptor_) != 0) {
    const int code = written < 0 || written == static_cast<::ssize_t>(line.size()) ? errno : ENOSPC;
    if (::ftruncate(descriptor_, static_cast<::off_t>(size_)) != 0)  // half a line is removed by the next reader, too
      detail::fail_journal(file_, std::string("cannot be written or mended: ") + std::strerror(code));
    detail::fail_journal(file_, std::string("cannot be written: ") + std::strerror(code));
  }
  size_ += line.size();
  std::erase_if(repeated_, [&](const journal_entry& before) { return before.batch == finished.batch; });
  take(finished);
}

GRADWIRE_DECL std::optional<journal_entry> run_journal::parse(std::string_view line) {
  return detail::parse_journal_line(line);
}

GRADWIRE_DECL std::string run_journal::state_name(std::size_t next_batch) {
  char text[48];
  std::snprintf(text, sizeof text, "batch-%zu-%08x", next_batch, static_cast<unsigned>(std::random_device()()));
  return text;
}

GRADWIRE_DECL void run_journal::go_back(const std::exception_ptr& failure, bool was_open, absence& away,
                                        const run_options& options) {
  using clock = std::chrono::steady_clock;
  try {
    std::rethrow_exception(failure);
  } catch (const error& said) {
    if (away.times == 0 || was_open) away.since = clock::now();
    const double missing = std::chrono::duration<double>(clock::now() - away.since).count();
    if (!detail::is_trainer_gone(failure, was_open) || ++away.times > options.restarts ||
        missing > options.patience_seconds)
      throw;
    const std::size_t finished = entries_.empty() ? 0 : entries_.back().batch + 1;
    repeat_unsaved();
    std::string sentence =
        std::string(said.what()) + ". Going back to " + (state().empty() ? "the beginning" : "the state " + state());
    if (finished > next_batch())
      sentence += "; batches " + std::to_string(next_batch()) + " to " + std::to_string(finished - 1) + " are repeated";
    tell(options, sentence);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(std::min(5000, 50 << std::min(away.times, 7))));
}

GRADWIRE_DECL void run_journal::tell(const run_options& options, const std::string& sentence) {
  if (options.on_notice) return options.on_notice(sentence);
  std::cerr << sentence << '\n';
}

}  // namespace gradwire::inline v0
