// SPDX-License-Identifier: Apache-2.0
// Snapshots by name: save_weights_for_sampler with a checkpoint_type, and finding what a hot load asks for.
#pragma once

#include <gradwire/loopback/service/checkpoint_api.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

inline snapshot_type read_snapshot_type(const std::string& text) {
  if (text == "base") return snapshot_type::base;
  if (text == "delta") return snapshot_type::delta;
  if (text == "merged_base") return snapshot_type::merged_base;
  invalid({"checkpoint_type"}, "literal_error", "Input should be 'base', 'delta' or 'merged_base'");
}

// compute thread. Answers 409 where something of that name is, unless it was saved by this very request before the
// trainer was restarted.
inline void save_snapshot(service& it, model_entry& entry, const snapshot_options& options) {
  constexpr auto kind = wire::checkpoint_kind::sampler;
  entry.check_ready();
  if (!entry.trained) throw refusal{400, "this model was created with base_only: it has no snapshots of its own"};
  const bool seen = it.store.exists(entry.id, kind, options.identity);
  const auto folder = it.store.place(entry.id, kind, options.identity);
  if (seen && it.state && was_saved_by(folder, options.saved_by)) {
    entry.last_snapshot.clear();
    return entry.snapshots.resume(folder);
  }
  if (seen)
    throw refusal{409,
                  "Checkpoint '" + options.identity + "' already exists for " + entry.id + "; choose another name"};
  if (!entry.last_snapshot.empty())  // of before a restart
    entry.snapshots.resume(it.store.place(entry.id, kind, std::exchange(entry.last_snapshot, {})));
  entry.snapshots.save(*entry.trained, folder, options);
}

// The folder of what a hot load calls `identity`: tinker://<run>/sampler_weights/<name>, or the bare name of a snapshot
// of any run. 404 if there is none, 409 if two runs have one of that name.
inline std::filesystem::path find_snapshot(const checkpoint_store& store, std::string_view identity) {
  if (identity.find('/') != identity.npos) return store.find(identity);
  constexpr auto kind = wire::checkpoint_kind::sampler;
  const std::string name(identity);
  std::string found;
  for (const std::string& run : store.runs()) {
    if (!wire::is_checkpoint_name(name) || !store.exists(run, kind, name)) continue;
    if (!found.empty())
      throw refusal{409, "two models have a snapshot '" + name + "': " + found + " and " + run + "; give its path"};
    found = run;
  }
  if (found.empty()) throw refusal{404, "there is no snapshot '" + name.substr(0, 200) + "'"};
  return store.place(found, kind, name);
}

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
