// SPDX-License-Identifier: Apache-2.0
// Snapshots between a trainer, which writes a chain of them, and what serves them, which loads one after the other.
// files/snapshot.hpp says what they are made of.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gradwire/loopback/engine.hpp>
#include <gradwire/loopback/files/snapshot.hpp>

namespace gradwire::inline v0 {
namespace loopback {

// A base model, and in its place what was loaded last. A value: copies share the weights.
class loaded_snapshot {
 public:
  explicit loaded_snapshot(frozen_model base) : base_(base), weights_(std::move(base)) {}

  // These with the snapshot in `folder` in their place. `identity` is what it is expected to be, as its name or as a
  // path that ends in it; `previous` what a delta is expected to be the difference to. errc::config, naming the
  // snapshots, if the folder holds another one or a byte of it has changed; if a delta is given without the previous
  // identity or against anything but what is loaded, a full one with a previous identity; or if the result does not
  // have the sha256 that was saved. What is loaded already stays as it is.
  GRADWIRE_DECL loaded_snapshot load(const std::filesystem::path& folder, std::string_view identity,
                                     const std::optional<std::string>& previous = {}) const;

  const std::string& identity() const noexcept { return description_.identity; }  // "": the base model
  const std::string& sha256() const noexcept { return description_.sha256; }
  const snapshot_description& description() const noexcept { return description_; }
  const frozen_model& weights() const noexcept { return weights_; }

 private:
  frozen_model base_, weights_;
  snapshot_description description_;
};

// The snapshot in `folder`, whatever it is: of a delta the snapshots before it are read first, from the folders beside
// it. errc::config if one is missing or does not fit.
GRADWIRE_DECL loaded_snapshot load_snapshot_chain(const frozen_model& base, const std::filesystem::path& folder);

// What lies in `folder`: as with_checkpoint, and of a delta as load_snapshot_chain.
inline frozen_model weights_in(const frozen_model& base, const std::filesystem::path& folder) {
  if (!std::filesystem::exists(folder / delta_name)) return base.with_checkpoint(folder);
  return load_snapshot_chain(base, folder).weights();
}

enum class snapshot_type : unsigned char {
  base,        // full weights, or of a LoRA model its adapter
  delta,       // the difference to the snapshot that was saved before
  merged_base  // of a LoRA model: full weights, the adapter merged
};

struct snapshot_options {
  std::string identity{};  // the folder's name
  snapshot_type type = snapshot_type::base;
  std::string saved_by{};  // as save_options
};

// The snapshots of one model. A delta is the difference to the last one that was saved here.
class saved_snapshots {
 public:
  // Durable when it returns. errc::config for a delta of a LoRA model, a merged_base of another, a delta when nothing
  // was saved before; errc::data for weights that are not finite. Nothing is written then, and the last one stays.
  GRADWIRE_DECL void save(const training_model& model, const std::filesystem::path& folder,
                          const snapshot_options& options);

  const std::string& last() const noexcept { return last_.identity; }  // "": none

  // Goes on after what lies in `folder`, which is read when a delta needs it; the identity is the folder's name.
  GRADWIRE_DECL void resume(const std::filesystem::path& folder);

 private:
  void save_delta(const training_model& model, const std::filesystem::path& folder, snapshot_description about,
                  const std::string& training);

  snapshot_description last_;
  bf16_words words_;              // of the last one, if it was full or a delta
  std::filesystem::path unread_;  // … or where it lies
};

}  // namespace loopback
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/loopback/impl/loaded_snapshot.hpp>
#endif
