// SPDX-License-Identifier: Apache-2.0
// What a run on the platform owns and how far it is, as the sum of the lines of its journal: no network, no clock. A
// line is written before each thing that cannot be taken back and after it is known to have happened, so that after a
// kill at any moment the state names everything that may exist.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gradwire/transport/config.hpp>

namespace gradwire::inline v0 {
namespace platform {

enum class part : unsigned char { policy_job, reference_job, deployment };
inline constexpr std::array all_parts{part::policy_job, part::reference_job, part::deployment};

constexpr const char* to_string(part which) noexcept {
  constexpr const char* names[] = {"policy_job", "reference_job", "deployment"};
  return names[static_cast<unsigned>(which)];
}

// What a line says. `id` is what it is about; the other members where they are named.
enum class lifecycle_fact : unsigned char {
  begun,      // the run's own tag; path: what it was started with, see lifecycle_plan
  resolved,   // a version of a training shape, of a job's part
  creating,   // a part by its id; written before the request. type "ours"
  created,    // … and it is there, made by this run
  refused,    // … and it was not made; without a part: a promotion that was not begun
  attached,   // a part that somebody else has made: it is not the run's to delete
  model,      // a training client's model; path: the state that it was made from, "" for none
  saving,     // a snapshot by the name asked for; type: base or delta; step
  saved,      // a snapshot by the name that the trainer gave it; type, step
  loading,    // a snapshot, before the request; type, previous: the one it is a difference to
  loaded,     // a snapshot that the deployment serves
  unloaded,   // a snapshot whose load failed, or that the deployment holds no more
  state,      // weights and optimizer to go on from; path, step: steps done
  promoting,  // a model's name, before the request; path: the checkpoint
  promoted,   // …
  closing,    // the run is over, what is the run's is being deleted
  deleting,   // a part, before the request
  deleted,    // …
  closed,     // nothing of the run is left
};

struct lifecycle_event {
  lifecycle_fact what{};
  std::optional<part> of{};
  std::string id{};
  std::string type{};
  std::string previous{};
  std::string path{};
  std::int64_t step = -1;
  friend bool operator==(const lifecycle_event&, const lifecycle_event&) = default;
};

GRADWIRE_DECL std::string_view name_of(lifecycle_fact what) noexcept;
GRADWIRE_DECL std::optional<lifecycle_fact> fact_named(std::string_view name) noexcept;

// Whether a part exists, as far as the journal knows.
enum class presence : unsigned char {
  none,   // never asked for
  asked,  // the request may or may not have been carried out
  there,
  going,  // its deletion was asked for
  gone,
};

struct part_record {
  std::string id{};  // of the part, without accounts/…
  presence is = presence::none;
  bool ours = false;      // made by this run, so its to delete
  int times = 0;          // that one was to be made: an id is never used for two
  bool answered = false;  // what became of its creation is known
  friend bool operator==(const part_record&, const part_record&) = default;
};

struct snapshot_record {
  std::string name{};  // the identity
  std::string type{};
  std::string previous{};
  std::int64_t step = -1;  // steps done when it was saved
  friend bool operator==(const snapshot_record&, const snapshot_record&) = default;
};

struct lifecycle_state {
  std::string run{};                      // a tag that no other run has
  std::string plan{};                     // what it was started with
  std::array<std::string, 3> versions{};  // of the training shapes, by part
  std::array<part_record, 3> parts{};
  std::string model{};                   // of the training client that was made last
  std::optional<std::string> saving{};   // a save whose end is not known: the trainer may have made it
  snapshot_record saved{};               // by the model that is there now
  snapshot_record loading{};             // whose end is not known
  snapshot_record loaded{};              // what the deployment serves
  std::string state{};                   // to go on from
  std::int64_t step = 0;                 // steps done in that state
  std::string promoting{};               // the last promotion, while its end is not known, and …
  std::vector<std::string> unsettled{};  // … all models of such promotions
  std::vector<std::string> promoted{};
  bool closing = false;
  bool closed = false;

  const part_record& operator[](part which) const { return parts[static_cast<std::size_t>(which)]; }
  part_record& operator[](part which) { return parts[static_cast<std::size_t>(which)]; }
  const std::string& version(part which) const { return versions[static_cast<std::size_t>(which)]; }

  // May exist and is this run's to delete.
  bool owes(part which) const {
    const part_record& record = (*this)[which];
    return record.ours &&
           (record.is == presence::asked || record.is == presence::there || record.is == presence::going);
  }

  GRADWIRE_DECL void apply(const lifecycle_event& event);
  friend bool operator==(const lifecycle_state&, const lifecycle_state&) = default;
};

}  // namespace platform
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/platform/impl/lifecycle_state.hpp>
#endif
