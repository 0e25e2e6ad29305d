// SPDX-License-Identifier: Apache-2.0
// The way of new weights into a deployment as a state machine that owns neither socket, clock nor file: save, hot load,
// wait, warm up. The snapshot chain says whether a base or a delta is saved.
//
//   * before a delta the deployment is looked at, once: unless all its replicas serve what was loaded last, by their own
//     word, a base is saved. Somebody else may have loaded something, or a replica has started anew.
//   * nothing is loaded before a replica was seen. A status that does not list them is one without replicas.
//   * the name of a snapshot is sent to the deployment at most once. A load whose answer was lost is looked for in the
//     deployment's status; where it cannot be seen there, a new base is saved and loaded under its own name.
//   * a delta that the deployment refuses, or that fails to load, is followed by a base, once.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <gradwire/platform/lifecycle_state.hpp>
#include <gradwire/platform/snapshot_chain.hpp>
#include <gradwire/transport/config.hpp>

namespace gradwire::inline v0 {
namespace platform {

struct publishing_action {
  enum class kind : unsigned char {
    write,    // `event` into the journal
    save,     // a snapshot `name` of `type`
    look,     // the deployment's status, for `name`
    pause,    // a while, then on_pause
    load,     // `name`, with `previous` where it is a delta
    await,    // until every replica serves `name`
    warm_up,  // a first request
    finish,   // the deployment serves `name`
    fail,     // with `failure`
  };
  kind what{};
  std::string name{};
  checkpoint type = checkpoint::base;
  std::optional<std::string> previous{};
  lifecycle_event event{};
  std::exception_ptr failure{};
};
using publishing_actions = std::vector<publishing_action>;

// What the status of a deployment says of the snapshot that was looked for.
struct replicas_seen {
  int count = 0;
  std::string holds{};    // its name, where every replica is ready and serves it
  std::string loading{};  // its name, where one is loading it, without an error
};

class lifecycle_publishing {
 public:
  // `make_name` gives a snapshot's name, another one each time. `replicas_known`: one was seen before.
  GRADWIRE_DECL lifecycle_publishing(snapshot_chain& chain, std::function<std::string()> make_name, std::int64_t step,
                                     std::optional<checkpoint> wanted, bool replicas_known, int looks = 60);

  GRADWIRE_DECL publishing_actions begin();
  GRADWIRE_DECL publishing_actions on_saved(const std::string& path);
  GRADWIRE_DECL publishing_actions on_status(const replicas_seen& seen);
  GRADWIRE_DECL publishing_actions on_pause();
  GRADWIRE_DECL publishing_actions on_accepted();  // the load's request was answered
  GRADWIRE_DECL publishing_actions on_loaded();
  GRADWIRE_DECL publishing_actions on_warm();  // or the first request failed: it serves all the same
  // The action `during` failed. `unknown`: it may have been carried out.
  GRADWIRE_DECL publishing_actions on_failed(publishing_action::kind during, std::exception_ptr failure,
                                             bool unknown = false);

  const std::string& identity() const noexcept { return identity_; }
  checkpoint type() const noexcept { return type_; }
  bool fell_back() const noexcept { return fell_back_; }  // to a base, after a load that failed
  bool is_over() const noexcept { return over_; }

 private:
  enum class stage : unsigned char { checking, saving, before, loading, lost, awaiting, warming };

  GRADWIRE_DECL void save_after_check(publishing_actions& out, const std::exception_ptr& unseen = {});
  GRADWIRE_DECL void save(std::optional<checkpoint> wanted, publishing_actions& out);
  GRADWIRE_DECL void load(publishing_actions& out);
  GRADWIRE_DECL publishing_actions no_replica(const std::exception_ptr& untold = {});
  GRADWIRE_DECL void give_up(publishing_actions& out, std::exception_ptr failure);
  GRADWIRE_DECL void unloaded(publishing_actions& out, std::exception_ptr failure);

  snapshot_chain* chain_;
  std::function<std::string()> make_name_;
  std::int64_t step_;
  std::optional<checkpoint> wanted_;
  bool replicas_known_;
  int looks_;
  stage at_ = stage::saving;
  std::optional<save_plan> saving_{};
  std::optional<load_plan> loading_{};
  std::string name_{};      // asked for
  std::string identity_{};  // as the trainer calls it; while `checking`: of what was loaded last
  checkpoint type_ = checkpoint::base;
  std::exception_ptr lost_{};
  bool fell_back_ = false;
  bool over_ = false;
};

}  // namespace platform
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/platform/lifecycle_opening.hpp>
//
#include <gradwire/platform/impl/lifecycle_publishing.hpp>
#endif
