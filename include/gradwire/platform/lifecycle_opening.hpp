// SPDX-License-Identifier: Apache-2.0
// The beginning of a run as a state machine that owns neither socket, clock nor file: shapes, then policy job, reference
// job and deployment side by side, then their clients. It is told what happened and answers what to do next, in order:
//
//   * `write` stands before each create and each delete, and is on disk before the next action is begun. Where it cannot
//     be written, nothing more is begun.
//   * a create whose answer was lost is looked for by its id, and repeated under the same id only if it is not there.
//   * a part is the run's only if the run has asked for it and was the one that it was made for: the answer says so, or
//     its id or its mark.
//   * what a journal names is looked for before anything is created.
//   * when a part fails nothing more is created; what may exist and is the run's is deleted, or named in the error.
#pragma once

#include <exception>
#include <optional>
#include <string>
#include <vector>

#include <gradwire/platform/lifecycle_state.hpp>
#include <gradwire/transport/config.hpp>

namespace gradwire::inline v0 {
namespace platform {

struct lifecycle_action {
  enum class kind : unsigned char {
    write,    // `event` into the journal
    resolve,  // the shape of a job's part: `id` if that is not empty, a version that the journal names
    look,     // whether the part `id` exists
    create,   // the part `id`
    revive,   // a job that was stopped
    wait,     // until the part serves
    connect,  // make the client of a job's part
    inspect,  // which snapshot the deployment holds
    remove,   // the part `id`
    finish,   // everything is there
    fail,     // with `failure`
  };
  kind what{};
  std::optional<part> of{};
  std::string id{};
  lifecycle_event event{};
  std::exception_ptr failure{};
  bool may_come_late = false;  // remove: what became of the create is not known
};
using lifecycle_actions = std::vector<lifecycle_action>;

// What looking for a part found.
enum class found : unsigned char {
  absent,   // the server does not know it
  present,  // it serves, or is on its way there
  stopped,  // a job that can be resumed
  dead,     // it will never serve again
};

// What the answer to a create says.
enum class creation : unsigned char {
  made,     // for this request
  taken,    // the id was taken before it
  unclear,  // the id was taken before it, maybe by an attempt whose answer was lost
};

struct opening_wishes {
  bool reference = true;  // a job on a forward-only shape
  bool deployment = true;
  bool deployment_first = false;          // the job is told of the deployment, instead of the deployment of the job
  std::array<std::string, 3> existing{};  // ids of parts that may be there before; "": make one
  bool keep_on_failure = false;           // leave what was made, and name it
  int creates = 3;                        // how often a create whose answer was lost is sent
};

class lifecycle_opening {
 public:
  GRADWIRE_DECL lifecycle_opening(opening_wishes wishes, lifecycle_state state);

  GRADWIRE_DECL lifecycle_actions begin();
  GRADWIRE_DECL lifecycle_actions on_resolved(part of, const std::string& version);
  // `is_marked`: it carries the tag of this run.
  GRADWIRE_DECL lifecycle_actions on_found(part of, found what, const std::string& description = "",
                                           bool is_marked = false);
  GRADWIRE_DECL lifecycle_actions on_created(part of, creation how = creation::made);
  GRADWIRE_DECL lifecycle_actions on_ready(part of);  // revive and wait: wait is next, or over
  GRADWIRE_DECL lifecycle_actions on_connected(part of, const std::string& model);
  GRADWIRE_DECL lifecycle_actions on_inspected(const std::string& holds);  // "": nothing that the run knows
  GRADWIRE_DECL lifecycle_actions on_removed(part of);
  // The action `during` of a part failed. `unknown`: it may have been carried out.
  GRADWIRE_DECL lifecycle_actions on_failed(std::optional<part> of, lifecycle_action::kind during,
                                            std::exception_ptr failure, bool unknown = false);
  // The first action of `undone` was a write, and failed; none of them was begun. `written`: what the journal says.
  GRADWIRE_DECL lifecycle_actions on_unwritable(std::exception_ptr failure, const lifecycle_state& written,
                                                const lifecycle_actions& undone);

  bool is_over() const noexcept { return over_; }
  bool is_failing() const noexcept { return failure_ != nullptr; }
  const lifecycle_state& state() const noexcept { return state_; }

 private:
  enum class stage : unsigned char { unwanted, shape, idle, looking, creating, reviving, waiting, connecting, ready };
  struct progress {
    stage at = stage::unwanted;
    int creates = 0;
    bool was_asked = false;  // for, by an earlier process
    std::string trouble{};   // why it could not be deleted
  };

  progress& at(part of) { return parts_[static_cast<std::size_t>(of)]; }
  GRADWIRE_DECL void write(lifecycle_actions& out, lifecycle_event event);
  GRADWIRE_DECL void start_parts(lifecycle_actions& out);
  GRADWIRE_DECL bool has_to_wait(part of) const;  // for the one that it is made with
  GRADWIRE_DECL void start(part of, lifecycle_actions& out);
  GRADWIRE_DECL void create(part of, lifecycle_actions& out);
  GRADWIRE_DECL void not_found(part of, const std::string& description, lifecycle_actions& out);
  GRADWIRE_DECL void give_up(std::exception_ptr failure, lifecycle_actions& out);
  GRADWIRE_DECL void clean_up(lifecycle_actions& out);
  GRADWIRE_DECL void finish_if_ready(lifecycle_actions& out);
  GRADWIRE_DECL std::exception_ptr with_what_is_left() const;
  bool is_wanted(part of) const { return parts_[static_cast<std::size_t>(of)].at != stage::unwanted; }

  opening_wishes wishes_;
  lifecycle_state state_;
  std::array<progress, 3> parts_{};
  std::exception_ptr failure_{};
  std::optional<part> removing_{};
  bool can_write_ = true;
  bool over_ = false;
};

}  // namespace platform
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/platform/impl/lifecycle_failing.hpp>
#include <gradwire/platform/impl/lifecycle_opening.hpp>
#endif
