// SPDX-License-Identifier: Apache-2.0
// What users add to a checkpoint that is no weights: whether it is public, until when it is kept, their own words. It
// lies beside the checkpoint's folder, as <folder's parent>/.<name>.notes, and goes with it.
#pragma once

#include <cstdint>
#include <ctime>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

#include <gradwire/loopback/files/open_file.hpp>
#include <gradwire/loopback/files/text_file.hpp>
#include <gradwire/wire/json_codec.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

struct checkpoint_notes {
  bool is_public = false;
  std::optional<std::int64_t> expires_at{};  // seconds since 1970
  std::optional<wire::metadata> user_metadata{};

  bool expired(std::time_t now) const { return expires_at && *expires_at <= static_cast<std::int64_t>(now); }
};

inline std::filesystem::path notes_file(const std::filesystem::path& checkpoint) {
  return checkpoint.parent_path() / ("." + checkpoint.filename().string() + ".notes");
}

inline checkpoint_notes read_notes(const std::filesystem::path& checkpoint) {
  checkpoint_notes notes;
  std::error_code problem;
  const auto file = notes_file(checkpoint);
  if (!std::filesystem::is_regular_file(std::filesystem::symlink_status(file, problem))) return notes;
  try {
    const std::string text = read_text(file);
    const wire::json_document document(text);
    std::vector<wire::validation_issue> issues;
    const wire::json_reader in(document, issues);
    wire::json_object_reader members(in);
    members("public", notes.is_public);
    members("expires_at", notes.expires_at);
    members("user_metadata", notes.user_metadata);
  } catch (const error&) {  // damaged: as if nobody had said anything
  }
  return notes;
}

inline void write_notes(const std::filesystem::path& checkpoint, const checkpoint_notes& notes) {
  wire::json_writer out;
  out.begin_object();
  wire::json_object_writer visit(out);
  visit("public", notes.is_public);
  visit("expires_at", notes.expires_at);
  visit("user_metadata", notes.user_metadata);
  out.end_object();
  const auto file = notes_file(checkpoint);
  const std::filesystem::path part = file.string() + ".part";
  {
    open_file to(part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, "create");
    const std::string text = std::move(out).take();
    to.write(text.data(), text.size());
    to.sync();
  }
  std::filesystem::rename(part, file);
}

inline void remove_notes(const std::filesystem::path& checkpoint) {
  std::error_code ignored;
  std::filesystem::remove(notes_file(checkpoint), ignored);
}

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
