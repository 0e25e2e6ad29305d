// SPDX-License-Identifier: Apache-2.0
// Small databases of one file each: what was written last is there after a crash, whole. A name has two files, .a and
// .b, and a write replaces the older of them: written under another name, synced, renamed, the folder synced. So the
// last two that were good are kept, and one that is damaged is told by its checksum and not used.
//
// A file is a header of 48 bytes and the content. Header, little-endian: "gwstate\n", u32 format version, u32 48,
// u64 generation, u64 bytes of the content, u32 CRC32C of the content, 8 bytes 0, u32 CRC32C of the 44 bytes before.
#pragma once

#include <sys/file.h>

#include <bit>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradwire/loopback/files/checksums.hpp>
#include <gradwire/loopback/files/staged_directory.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

inline constexpr std::size_t state_header_bytes = 48;
inline constexpr std::uint32_t state_format = 1;
static_assert(std::endian::native == std::endian::little);

inline std::string state_header(std::uint64_t generation, std::span<const std::string_view> content) {
  crc32c_sum sum;
  std::uint64_t bytes = 0;
  for (const auto& part : content) sum.add(part), bytes += part.size();
  std::string header = "gwstate\n";
  const auto put = [&](auto value) { header.append(reinterpret_cast<const char*>(&value), sizeof value); };
  put(state_format);
  put(static_cast<std::uint32_t>(state_header_bytes));
  put(generation);
  put(bytes);
  put(sum.value());
  put(std::uint64_t{0});
  put(crc32c(header));
  return header;
}

struct state_content {
  std::uint64_t generation = 0;
  std::string bytes{};
};

// The content of a file, or why it cannot be used.
inline std::optional<state_content> parse_state(std::string file, std::string& why) {
  const auto get = [&](std::size_t at, auto zero) {
    std::memcpy(&zero, file.data() + at, sizeof zero);
    return zero;
  };
  if (file.size() < state_header_bytes)
    why = "it has " + std::to_string(file.size()) + " bytes, less than a header";
  else if (file.compare(0, 8, "gwstate\n") != 0)
    why = "it does not begin as a state file does";
  else if (crc32c(file.data(), 44) != get(44, std::uint32_t{}))
    why = "its header does not fit its checksum";
  else if (get(8, std::uint32_t{}) != state_format)
    why = "its format is version " + std::to_string(get(8, std::uint32_t{})) + ", this program reads 1";
  else if (get(24, std::uint64_t{}) != file.size() - state_header_bytes)
    why = "it has " + std::to_string(file.size() - state_header_bytes) + " bytes of content where " +
          std::to_string(get(24, std::uint64_t{})) + " were written";
  else if (crc32c(file.data() + state_header_bytes, file.size() - state_header_bytes) != get(32, std::uint32_t{}))
    why = "its content does not fit its checksum";
  else
    return state_content{get(16, std::uint64_t{}), file.substr(state_header_bytes)};
  return {};
}

// A folder of such files. Used by one program at a time, on one thread at a time.
class state_folder {
 public:
  // errc::config if it cannot be made, is somebody else's, or is in use by another program.
  explicit state_folder(const std::filesystem::path& at) : path_(at) {
    std::error_code ignored;
    std::filesystem::create_directories(std::filesystem::absolute(at).parent_path(), ignored);
    if (::mkdir(at.c_str(), 0700) != 0 && errno != EEXIST) fail_file("create", at, errno);
    folder_.emplace(at, O_RDONLY | O_DIRECTORY, "open the folder");
    struct ::stat info {};
    if (::fstat(folder_->descriptor(), &info) != 0 || info.st_uid != ::geteuid())
      throw error(errc::config, "the folder " + at.string() + " belongs to another user");
    if (::fchmod(folder_->descriptor(), 0700) != 0) fail_file("protect", at, errno);
    if (::flock(folder_->descriptor(), LOCK_EX | LOCK_NB) != 0)
      throw error(errc::config, "the folder " + at.string() + " is in use by another trainer");
    for (const auto& entry : std::filesystem::directory_iterator(at)) {  // nobody else writes here: left over
      const std::string name = entry.path().filename().string();
      if (name.find(mark) != name.npos) ::unlinkat(folder_->descriptor(), name.c_str(), 0);
    }
  }

  // Durable when it returns. Throws with the file as it was before.
  void write(const std::string& name, std::vector<std::string_view> content) {
    slot& known = slots_[name];
    const std::string target = name + (known.in_b ? ".a" : ".b");
    const std::string staged = target + std::string(mark) + std::to_string(::getpid());
    const std::string header = state_header(known.generation + 1, content);
    content.insert(content.begin(), header);
    try {
      open_file out(folder_->descriptor(), staged, O_WRONLY | O_CREAT | O_TRUNC, "create");
      for (const auto& part : content) out.write(part.data(), part.size());
      out.sync();
    } catch (...) {
      ::unlinkat(folder_->descriptor(), staged.c_str(), 0);
      throw;
    }
    if (files().rename(folder_->descriptor(), staged.c_str(), target.c_str(), 0) != 0)
      fail_file("rename to", path_ / target, errno);
    folder_->sync();
    known = {known.generation + 1, !known.in_b};
  }

  // What was written last, if there is any. A damaged file adds a sentence to `notices`; errc::config when nothing but
  // damaged files is there.
  std::optional<std::string> read(const std::string& name, std::vector<std::string>& notices) {
    std::optional<state_content> found;
    std::string damaged;
    for (const bool in_b : {false, true}) {
      const auto file = path_ / (name + (in_b ? ".b" : ".a"));
      if (!std::filesystem::exists(std::filesystem::symlink_status(file))) continue;
      std::string why = "it is not a plain file";
      std::optional<state_content> content;
      if (std::filesystem::is_regular_file(std::filesystem::symlink_status(file)))
        content = parse_state(read_text(file), why);
      if (!content) {
        damaged += (damaged.empty() ? "" : "; ") + file.string() + " is damaged: " + why;
      } else if (!found || content->generation > found->generation) {
        slots_[name] = {content->generation, in_b};
        found = std::move(content);
      }
    }
    if (!damaged.empty() && !found) throw error(errc::config, damaged + "; nothing older is left");
    if (!damaged.empty())
      notices.push_back(damaged + "; the other one, generation " + std::to_string(found->generation) + ", is used");
    if (!found) return {};
    return std::move(found->bytes);
  }

  void remove(const std::string& name) {
    for (const char* suffix : {".a", ".b"}) ::unlinkat(folder_->descriptor(), (name + suffix).c_str(), 0);
    slots_.erase(name);
  }

  std::vector<std::string> names() const {
    std::map<std::string, bool> found;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      const std::string name = entry.path().filename().string();
      if (name.ends_with(".a") || name.ends_with(".b")) found[name.substr(0, name.size() - 2)] = true;
    }
    std::vector<std::string> names;
    for (const auto& [name, there] : found) names.push_back(name);
    return names;
  }

  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  static constexpr std::string_view mark = ".tmp-";
  struct slot {
    std::uint64_t generation = 0;
    bool in_b = true;  // the newest; the first write goes to .a
  };

  std::filesystem::path path_;
  std::optional<open_file> folder_;
  std::map<std::string, slot> slots_;
};

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
