// SPDX-License-Identifier: Apache-2.0
// What can be chosen for a deployment, and a deployment and its hot loads as the platform tells of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradwire/platform/locked.hpp>
#include <gradwire/platform/shape_ref.hpp>

namespace gradwire::inline v0 {
namespace platform {

enum class hot_load_transition : unsigned char {
  server_default,  // asynchronous: what is being sampled goes on with the new weights
  asynchronous,
  synchronous,
};

// With a training shape: it samples on the deployment shape that the profile is linked to.
struct deployment_config {
  std::string deployment_id{};          // [a-z0-9-], at most 63
  std::string base_model{};             // accounts/<a>/models/<m>
  deployment_shape_ref linked_shape{};  // profile.deployment_shape_version; must be there
  int min_replica_count = 0;
  int max_replica_count = 1;
  std::string hot_load_trainer_job{};  // policy_job::name(): whose weights it loads
  std::string description = "Fireworks training deployment";
  std::string region{};
  bool enable_hot_load = true;
  bool for_training = true;  // the platform may take it back when the training is over
  hot_load_transition transition = hot_load_transition::server_default;
  bool disable_speculative_decoding = false;
  std::vector<std::string> extra_args{};
  std::vector<std::pair<std::string, std::string>> extra_values{};
  std::vector<std::pair<std::string, std::string>> annotations{};

  // The shape's.
  locked deployment_shape{};
  locked accelerator_type{};
  locked accelerator_count{};
};

// Without a training shape.
struct manual_deployment_config {
  std::string deployment_id{};
  std::string base_model{};
  std::string deployment_shape{};  // accounts/<a>/deploymentShapes/<s>[/versions/<v>], or …
  std::string accelerator_type{};  // … "NVIDIA_H200_141GB"
  int min_replica_count = 0;
  int max_replica_count = 1;
  std::string hot_load_trainer_job{};
  std::string description = "Fireworks training deployment";
  std::string region{};
  bool enable_hot_load = true;
  bool for_training = false;
  hot_load_transition transition = hot_load_transition::server_default;
  bool disable_speculative_decoding = false;
  bool skip_shape_validation = false;  // only some keys may
  std::vector<std::string> extra_args{};
  std::vector<std::pair<std::string, std::string>> extra_values{};
  std::vector<std::pair<std::string, std::string>> annotations{};
};

enum class deployment_state : unsigned char {
  unspecified,
  creating,
  ready,
  updating,
  deleting,
  deleted,
  failed,
  unknown
};

constexpr deployment_state parse_deployment_state(std::string_view text) noexcept {
  constexpr std::string_view names[] = {"STATE_UNSPECIFIED", "CREATING", "READY", "UPDATING",
                                        "DELETING",          "DELETED",  "FAILED"};
  if (text.empty()) return deployment_state::unspecified;
  for (unsigned i = 0; i < sizeof names / sizeof *names; ++i)
    if (names[i] == text) return static_cast<deployment_state>(i);
  return deployment_state::unknown;
}

constexpr bool is_serving(deployment_state state) noexcept {
  return state == deployment_state::ready || state == deployment_state::updating;
}
constexpr bool is_terminal(deployment_state state) noexcept {
  return state == deployment_state::failed || state == deployment_state::deleted || state == deployment_state::deleting;
}

struct deployment {
  std::string id{};
  std::string name{};  // accounts/<a>/deployments/<id>: also what completions call the model
  deployment_state state = deployment_state::unspecified;
  std::string state_text{};
  std::string why{};
  std::string base_model{};
  std::string deployment_shape{};
  std::string hot_load_trainer_job{};
  std::string hot_load_bucket_url{};
  std::string hot_load_transition_type{};
  std::int64_t min_replica_count = 0;
  std::int64_t max_replica_count = 0;
  std::int64_t replica_count = 0;
  std::string create_time{};
  std::vector<std::pair<std::string, std::string>> annotations{};
  bool existed = false;   // it was there before the create
  bool doubtful = false;  // … or an attempt whose answer was lost has made it
};

struct hot_load_options {
  std::string identity{};                          // of the snapshot that the trainer saved
  std::optional<std::string> previous_identity{};  // of a delta: the snapshot that it changes
  bool reset_prompt_cache = true;
  std::string base_model{};  // "": the deployment's, asked for
  std::string source_url{};  // where the snapshot lies, when it is not in the deployment's own bucket
};

struct hot_load_replica {
  std::string identity{};  // "" where only the snapshot's is told
  std::string current_snapshot_identity{};
  bool ready = false;
  std::string stage{};  // what it is doing
  std::string target_snapshot_identity{};
  std::string error{};
  std::vector<std::pair<std::string, std::string>> adapters{};  // identity and status
};

struct hot_load_status {
  std::vector<hot_load_replica> replicas{};

  // Whether a snapshot is what a name says: a trainer calls it tinker://<run>/sampler_weights/<name> or <name>.
  static bool same(std::string_view a, std::string_view b) noexcept {
    if (a == b) return true;
    const auto ends = [](std::string_view whole, std::string_view tail) {
      return !tail.empty() && whole.size() > tail.size() && whole.substr(whole.size() - tail.size()) == tail &&
             whole[whole.size() - tail.size() - 1] == '/';
    };
    return ends(a, b) || ends(b, a);
  }

  static bool holds(const hot_load_replica& replica, std::string_view identity) noexcept {
    if (same(replica.current_snapshot_identity, identity)) return true;
    for (const auto& [name, status] : replica.adapters)
      if (same(name, identity) && status == "loaded") return true;
    return false;
  }

  // Every replica samples from this snapshot.
  bool all_hold(std::string_view identity) const noexcept {
    for (const auto& replica : replicas)
      if (!replica.ready || !holds(replica, identity)) return false;
    return !replicas.empty();
  }
};

}  // namespace platform
}  // namespace gradwire::inline v0
