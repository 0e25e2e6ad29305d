// SPDX-License-Identifier: Apache-2.0
// The chain of snapshots between a trainer and the deployment that serves its weights: which save may be a delta, and
// which snapshot a hot load names as the previous one.
//
//   auto save = chain.begin_save();                        // its type(): base or delta
//   auto name = trainer.save_weights_for_sampler({.name = "step-7", .type = save.type()}).result();
//   chain.saved(save, "step-7", name.path);
//   auto load = chain.begin_load("step-7");                // its previous(): of a delta only
//   … POST hot load {identity, previous} …                 // not needed if load.already_loaded()
//   chain.loaded(load);
//
// A trainer makes a delta against its last save, a deployment applies it to what it has loaded last. So a save is a
// delta only if these two are known to be the same snapshot, and else a base. What was begun and not confirmed is not
// known: a save or a hot load that failed, was skipped, or whose answer was lost makes the next save a base. LoRA
// weights are always a base.
//
// One chain is for one trainer and its one deployment, and snapshots are known by their names: give each run names of
// its own (a suffix), for a deployment may still hold those of an earlier run. The chain is plain bookkeeping, without
// network and clock, so that a journal that repeats the calls gives the same chain again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gradwire/error.hpp>
#include <gradwire/trainer/options.hpp>
#include <gradwire/transport/config.hpp>

namespace gradwire::inline v0 {
namespace platform {

// A save that is about to be asked for. Made by snapshot_chain only.
class save_plan {
 public:
  checkpoint type() const noexcept { return type_; }
  // The snapshot that the trainer will make the delta against; "" of a base.
  const std::string& against() const noexcept { return against_; }

 private:
  friend class snapshot_chain;
  save_plan() = default;
  checkpoint type_ = checkpoint::base;
  std::string against_;
  std::uint64_t number_ = 0;
};

// A hot load that is about to be asked for. Made by snapshot_chain only.
class load_plan {
 public:
  const std::string& identity() const noexcept { return identity_; }
  // What goes out as previous_snapshot_identity; nothing: the snapshot is full, and no metadata goes out.
  const std::optional<std::string>& previous() const noexcept { return previous_; }
  // The deployment has this snapshot: nothing needs to be sent.
  bool already_loaded() const noexcept { return already_loaded_; }

 private:
  friend class snapshot_chain;
  load_plan() = default;
  std::string identity_, name_;
  std::optional<std::string> previous_;
  bool already_loaded_ = false;
  std::uint64_t number_ = 0;
};

class snapshot_chain {
 public:
  // 0: every parameter is trained.
  explicit snapshot_chain(int lora_rank) : lora_(lora_rank > 0) {}

  // What a save would be now.
  GRADWIRE_DECL checkpoint next() const;

  // Before a save; from here on the trainer's last save is unknown, until saved(). A type that is asked for and would
  // not be right is errc::config: a delta where a base is needed, a delta of a LoRA model, a merged_base of another.
  GRADWIRE_DECL save_plan begin_save(std::optional<checkpoint> wanted = {});

  // The trainer has saved it, under `name`, and calls it `path` ("": by its name). errc::config for an empty name or
  // one that was saved before.
  GRADWIRE_DECL void saved(const save_plan& plan, const std::string& name, const std::string& path = {});

  // Before a hot load of what saved() was told of, by its name or path, which is then the identity that goes out; from
  // here on what is loaded is unknown, until loaded(). errc::config for a snapshot that is not known here, and for a
  // delta unless the deployment has the snapshot that it was made against, or this very one: it would be loaded as full
  // weights, or on top of others, and the deployment would serve noise.
  GRADWIRE_DECL load_plan begin_load(std::string_view identity);

  // Before a hot load of a snapshot with full weights that was not saved here.
  GRADWIRE_DECL load_plan begin_load_base(const std::string& identity);

  // The deployment says that it has loaded it.
  GRADWIRE_DECL void loaded(const load_plan& plan);

  // What the deployment's status says that it has; "": nothing, or not known. Settles a hot load without an answer.
  GRADWIRE_DECL void deployment_holds(const std::string& identity);

  // A new trainer, or a model made anew: it has saved nothing. What is loaded stays loaded.
  GRADWIRE_DECL void trainer_restarted();

  // After a re-attach: neither side is known.
  GRADWIRE_DECL void reset();

  const std::optional<std::string>& last_saved() const noexcept { return last_saved_; }    // its name; nothing: unknown
  const std::optional<std::string>& last_loaded() const noexcept { return last_loaded_; }  // its name; nothing: unknown
  const std::string& loaded_as() const noexcept { return loaded_as_; }                     // the identity of that one

 private:
  struct snapshot {
    std::string name{}, path{};
    checkpoint type = checkpoint::base;
    std::string against{};  // of a delta
  };

  GRADWIRE_DECL const snapshot* find(std::string_view name_or_path) const;
  GRADWIRE_DECL std::string why_no_delta() const;  // "": it can be one
  GRADWIRE_DECL load_plan begin(std::string identity, std::string name);

  bool lora_ = false;
  std::vector<snapshot> snapshots_;
  std::optional<std::string> last_saved_, last_loaded_;  // names
  std::string loaded_as_;                                // the identity that the last one was loaded under
  std::uint64_t saves_ = 0, loads_ = 0;                  // begun
};

}  // namespace platform
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/platform/impl/snapshot_chain.hpp>
#endif
