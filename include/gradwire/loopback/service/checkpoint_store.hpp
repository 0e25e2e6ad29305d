// SPDX-License-Identifier: Apache-2.0
// Where checkpoints lie: <root>/<run>/<weights|sampler_weights>/<name>, folders readable by their owner only. Nothing
// outside the root is ever touched: run and name are checked, and no folder on the way may be a symbolic link.
#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <gradwire/error.hpp>
#include <gradwire/loopback/files/staged_directory.hpp>
#include <gradwire/loopback/service/checkpoint_notes.hpp>
#include <gradwire/loopback/service/reply.hpp>
#include <gradwire/wire/messages_checkpoint.hpp>
#include <gradwire/wire/path.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

inline std::string iso_time(std::time_t when) {
  std::tm parts{};
  gmtime_r(&when, &parts);
  char text[32];
  return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts));
}

// … to the microsecond, and each call's later than the one before.
inline std::string iso_time_now() {
  static std::atomic<std::int64_t> last{0};
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  const std::int64_t now = std::chrono::duration_cast<std::chrono::microseconds>(since).count();
  std::int64_t before = last.load(), taken = 0;
  do taken = std::max(now, before + 1);
  while (!last.compare_exchange_weak(before, taken));
  std::string text = iso_time(static_cast<std::time_t>(taken / 1'000'000));
  std::string part = std::to_string(taken % 1'000'000);
  text.insert(text.size() - 1, "." + std::string(6 - part.size(), '0') + part);
  return text;
}

// As a checkpoint's name, and ':' as in the ids that this server gives.
constexpr bool is_run_name(std::string_view run) noexcept {
  if (run.empty() || run.size() > 128 || run[0] == '.') return false;
  for (const char c : run)
    if (c != ':' && !wire::is_checkpoint_name(std::string_view(&c, 1)) && c != '.') return false;
  return run.find("..") == std::string_view::npos;
}

class checkpoint_store {
 public:
  using path = std::filesystem::path;

  // An empty root makes a temporary one, which goes away with this.
  explicit checkpoint_store(path root) : temporary_(root.empty()) {
    std::error_code problem;
    if (temporary_) {
      std::string name = (std::filesystem::temp_directory_path(problem) / ("gradwire-" + std::string(6, 'X'))).string();
      if (problem || ::mkdtemp(name.data()) == nullptr)
        throw error(errc::config, "no temporary folder for checkpoints can be made; name one in .checkpoints");
      root = name;
    } else {
      std::filesystem::create_directories(std::filesystem::absolute(root).parent_path(), problem);
      if (!std::filesystem::is_directory(root, problem)) make_folder(root);
    }
    root_ = std::filesystem::canonical(root, problem);
    if (problem || !std::filesystem::is_directory(root_))
      throw error(errc::config, "the checkpoints folder '" + root.string() + "' is not a folder that can be used");
    for (const auto& run : runs())
      for (const auto kind :
           {wire::checkpoint_kind::training, wire::checkpoint_kind::sampler, wire::checkpoint_kind::external})
        remove_left_over(root_ / run / wire::path_segment(kind));
  }
  ~checkpoint_store() {
    std::error_code ignored;
    if (temporary_) std::filesystem::remove_all(root_, ignored);
  }
  checkpoint_store(const checkpoint_store&) = delete;
  checkpoint_store& operator=(const checkpoint_store&) = delete;

  const path& root() const noexcept { return root_; }

  // Where a new checkpoint goes; makes the folders above it.
  path place(const std::string& run, wire::checkpoint_kind kind, const std::string& name) const {
    if (!is_run_name(run) || !wire::is_checkpoint_name(name))
      throw refusal{422, "not a checkpoint name: '" + name + "'"};
    make_folder(root_ / run);
    make_folder(root_ / run / wire::path_segment(kind));
    return root_ / run / wire::path_segment(kind) / name;
  }

  // A folder that is not a checkpoint of the protocol.
  path own_folder(const std::string& name) const {
    make_folder(root_ / name);
    return root_ / name;
  }

  // The folder of tinker://<run>/<weights|sampler_weights>/<name>: 400 for another path, 404 if there is none.
  path find(std::string_view tinker_path) const {
    const auto parsed = wire::parse_tinker_path(tinker_path);
    if (!parsed || !is_run_name(parsed->run) || !wire::is_checkpoint_name(parsed->name))
      throw refusal{
          400, "'" + std::string(tinker_path.substr(0, 200)) + "' is not a path like tinker://<run>/weights/<name>"};
    using wire::checkpoint_kind;
    for (const auto kind : {parsed->kind, checkpoint_kind::sampler})  // two segments: a sampler's
      if (kind != checkpoint_kind::unknown && exists(parsed->run, kind, parsed->name))
        if (parsed->kind == checkpoint_kind::unknown || parsed->kind == kind)
          return root_ / parsed->run / wire::path_segment(kind) / parsed->name;
    throw refusal{404, "Checkpoint not found: " + std::string(tinker_path)};
  }

  bool exists(const std::string& run, wire::checkpoint_kind kind, const std::string& name) const {
    path at = root_;
    for (const path& part : {path(run), path(wire::path_segment(kind)), path(name)}) {
      at /= part;
      std::error_code problem;
      if (!std::filesystem::is_directory(std::filesystem::symlink_status(at, problem))) return false;
    }
    if (!read_notes(at).expired(std::time(nullptr))) return true;
    discard(at);
    return false;
  }

  bool remove(const std::string& run, wire::checkpoint_kind kind, const std::string& name) const {
    if (!is_run_name(run) || !wire::is_checkpoint_name(name) || !exists(run, kind, name)) return false;
    return discard(root_ / run / wire::path_segment(kind) / name);
  }

  // What was said about a checkpoint that has just been saved; what was said about the one before it goes.
  void note(const std::string& run, wire::checkpoint_kind kind, const std::string& name,
            const checkpoint_notes& notes) const {
    const path folder = root_ / run / wire::path_segment(kind) / name;
    if (notes.expires_at || notes.user_metadata)
      write_notes(folder, notes);
    else
      remove_notes(folder);
  }

  std::vector<std::string> runs() const {
    std::vector<std::string> names;
    std::error_code problem;
    for (const auto& entry : std::filesystem::directory_iterator(root_, problem))
      if (entry.is_directory() && !entry.is_symlink() && has_checkpoints(entry.path()))
        names.push_back(entry.path().filename().string());
    return names;
  }

  std::vector<wire::checkpoint_info> list(const std::string& run) const {
    std::vector<wire::checkpoint_info> found;
    if (!is_run_name(run)) return found;
    for (const auto kind :
         {wire::checkpoint_kind::training, wire::checkpoint_kind::sampler, wire::checkpoint_kind::external}) {
      std::error_code problem;
      for (const auto& entry : std::filesystem::directory_iterator(root_ / run / wire::path_segment(kind), problem)) {
        const std::string name = entry.path().filename().string();
        if (wire::is_checkpoint_name(name) && exists(run, kind, name)) found.push_back(describe(run, kind, name));
      }
    }
    return found;
  }

 private:
  // A new one is durable: what is saved below it must be found again.
  static void make_folder(const path& at) {
    if (::mkdir(at.c_str(), 0700) == 0) return sync_directory(at.has_parent_path() ? at.parent_path() : ".");
    std::error_code problem;
    if (errno != EEXIST || !std::filesystem::is_directory(std::filesystem::symlink_status(at, problem)))
      throw error(errc::config, "the folder '" + at.string() + "' cannot be made, or is a link");
  }

  static bool has_checkpoints(const path& run) {
    std::error_code problem;
    return std::filesystem::exists(run / "weights", problem) ||
           std::filesystem::exists(run / "sampler_weights", problem) ||
           std::filesystem::exists(run / "external_weights", problem);
  }

  static bool discard(const path& checkpoint) {
    std::error_code problem;
    const bool gone = std::filesystem::remove_all(checkpoint, problem) > 0 && !problem;
    if (gone) remove_notes(checkpoint);
    return gone;
  }

  wire::checkpoint_info describe(const std::string& run, wire::checkpoint_kind kind, const std::string& name) const {
    const path folder = root_ / run / wire::path_segment(kind) / name;
    std::int64_t bytes = 0;
    std::error_code problem;
    for (const auto& file : std::filesystem::directory_iterator(folder, problem))
      if (file.is_regular_file()) bytes += static_cast<std::int64_t>(file.file_size());
    struct ::stat info {};
    const std::time_t when = ::stat(folder.c_str(), &info) == 0 ? info.st_mtime : 0;
    const checkpoint_notes notes = read_notes(folder);
    constexpr const char* types[] = {"", "training", "sampler", "external"};
    return {.checkpoint_id = std::string(wire::path_segment(kind)) + "/" + name,
            .checkpoint_type = types[static_cast<unsigned>(kind)],
            .time = iso_time(when),
            .tinker_path = wire::to_string({run, kind, name}),
            .size_bytes = bytes,
            .is_public = notes.is_public,
            .expires_at = notes.expires_at ? std::optional(iso_time(*notes.expires_at)) : std::nullopt,
            .user_metadata = notes.user_metadata};
  }

  path root_;
  bool temporary_ = false;
};

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
