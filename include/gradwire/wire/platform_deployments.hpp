// SPDX-License-Identifier: Apache-2.0
// Deployments: what creates and changes one, what the control plane tells of it, and the hot load of weights into it.
// The id stands in the query: deploymentId, skipShapeValidation, disableSpeculativeDecoding.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <gradwire/wire/platform_jobs.hpp>
#include <gradwire/wire/platform_json.hpp>

namespace gradwire::inline v0 {
namespace wire::platform {

struct placement {
  std::string region{};
};

void members(auto& visit, is<placement> auto& m) { visit.sparse("region", m.region); }

struct create_deployment_request {  // POST accounts/<a>/deployments?deploymentId=…
  std::string base_model{};
  std::string description = "Fireworks training deployment";
  std::int64_t min_replica_count = 0;
  std::int64_t max_replica_count = 1;
  bool enable_hot_load = true;
  bool for_training = false;
  std::optional<platform::placement> placement{};
  std::optional<std::string> hot_load_bucket_type{};  // "FW_HOSTED"
  std::optional<std::string> hot_load_trainer_job{};  // accounts/<a>/rlorTrainerJobs/<id>
  std::optional<std::vector<std::string>> extra_args{};
  std::optional<text_map> extra_values{};
  std::optional<text_map> annotations{};
  std::optional<std::string> deployment_shape{};          // the versioned name, or …
  std::optional<std::string> accelerator_type{};          // … without a shape
  std::optional<std::string> hot_load_transition_type{};  // "ASYNC", "SYNC"
  std::optional<bool> preemptible{};
};

void members(auto& visit, is<create_deployment_request> auto& m) {
  visit("baseModel", m.base_model);
  visit("description", m.description);
  visit("minReplicaCount", m.min_replica_count);
  visit("maxReplicaCount", m.max_replica_count);
  visit("enableHotLoad", m.enable_hot_load);
  visit("forTraining", m.for_training);
  visit("placement", m.placement);
  visit("hotLoadBucketType", m.hot_load_bucket_type);
  visit("hotLoadTrainerJob", m.hot_load_trainer_job);
  visit("extraArgs", m.extra_args);
  visit("extraValues", m.extra_values);
  visit("annotations", m.annotations);
  visit("deploymentShape", m.deployment_shape);
  visit("acceleratorType", m.accelerator_type);
  visit("hotLoadTransitionType", m.hot_load_transition_type);
  visit("preemptible", m.preemptible);
}

// PATCH accounts/<a>/deployments/<id>?updateMask=min_replica_count,max_replica_count: only what is there changes.
struct update_deployment_request {
  std::optional<std::int64_t> min_replica_count{};
  std::optional<std::int64_t> max_replica_count{};
  std::optional<std::string> hot_load_trainer_job{};
  std::optional<std::string> hot_load_transition_type{};
};

void members(auto& visit, is<update_deployment_request> auto& m) {
  visit("minReplicaCount", m.min_replica_count);
  visit("maxReplicaCount", m.max_replica_count);
  visit("hotLoadTrainerJob", m.hot_load_trainer_job);
  visit("hotLoadTransitionType", m.hot_load_transition_type);
}

struct deployment {     // GET accounts/<a>/deployments/<id>
  std::string name{};   // accounts/<a>/deployments/<id>
  std::string state{};  // CREATING, READY, UPDATING, DELETING, DELETED, FAILED; others pass
  status_text status{};
  std::string base_model{};
  std::string description{};
  std::string deployment_shape{};
  std::string accelerator_type{};
  std::int64_t min_replica_count = 0;
  std::int64_t max_replica_count = 0;
  std::int64_t desired_replica_count = 0;
  std::int64_t replica_count = 0;
  bool enable_hot_load = false;
  bool for_training = false;
  std::string hot_load_bucket_type{};
  std::string hot_load_bucket_url{};
  std::string hot_load_trainer_job{};
  std::string hot_load_transition_type{};
  text_map annotations{};
  std::string create_time{};
};

void members(auto& visit, is<deployment> auto& m) {
  visit("name", m.name);
  visit("state", m.state);
  visit.sparse("status", m.status);
  visit.sparse("baseModel", m.base_model);
  visit.sparse("description", m.description);
  visit.sparse("deploymentShape", m.deployment_shape);
  visit.sparse("acceleratorType", m.accelerator_type);
  visit.sparse("minReplicaCount", m.min_replica_count);
  visit.sparse("maxReplicaCount", m.max_replica_count);
  visit.sparse("desiredReplicaCount", m.desired_replica_count);
  visit.sparse("replicaCount", m.replica_count);
  visit.sparse("enableHotLoad", m.enable_hot_load);
  visit.sparse("forTraining", m.for_training);
  visit.sparse("hotLoadBucketType", m.hot_load_bucket_type);
  visit.sparse("hotLoadBucketUrl", m.hot_load_bucket_url);
  visit.sparse("hotLoadTrainerJob", m.hot_load_trainer_job);
  visit.sparse("hotLoadTransitionType", m.hot_load_transition_type);
  visit.sparse("annotations", m.annotations);
  visit.sparse("createTime", m.create_time);
}

struct deployments_reply {  // GET accounts/<a>/deployments
  std::vector<deployment> deployments{};
  std::string next_page_token{};
  std::int64_t total_size = 0;
};

void members(auto& visit, is<deployments_reply> auto& m) {
  visit("deployments", m.deployments);
  visit.sparse("nextPageToken", m.next_page_token);
  visit.sparse("totalSize", m.total_size);
}

// How a delta is to be read. The checksum's name is spelled so on the wire.
struct incremental_snapshot_metadata {
  std::string previous_snapshot_identity{};
  std::string compression_format = "arc_v2";
  std::string checksum_format = "alder32";
};

void members(auto& visit, is<incremental_snapshot_metadata> auto& m) {
  visit("previous_snapshot_identity", m.previous_snapshot_identity);
  visit("compression_format", m.compression_format);
  visit("checksum_format", m.checksum_format);
}

// POST hot_load/v1/models/hot_load, with the headers fireworks-model and fireworks-deployment. A member that the
// service does not know is refused.
struct hot_load_request {
  std::string identity{};
  std::optional<bool> reset_prompt_cache = true;
  std::optional<platform::incremental_snapshot_metadata> incremental_snapshot_metadata{};
};

void members(auto& visit, is<hot_load_request> auto& m) {
  visit("identity", m.identity);
  visit("reset_prompt_cache", m.reset_prompt_cache);
  visit("incremental_snapshot_metadata", m.incremental_snapshot_metadata);
}

struct loading_state {
  std::string stage{};  // "idle", "downloading", "loading", "done", "error" …
  std::string target_snapshot_identity{};
  std::string error{};  // only some say why
};

void members(auto& visit, is<loading_state> auto& m) {
  visit("stage", m.stage);
  visit.sparse("target_snapshot_identity", m.target_snapshot_identity);
  visit.sparse("error", m.error);
}

struct loaded_adapter {
  std::string identity{};
  std::string status{};  // "loaded"
};

void members(auto& visit, is<loaded_adapter> auto& m) {
  visit("identity", m.identity);
  visit("status", m.status);
}

struct hot_load_replica {
  std::string identity{};                   // the replica's, or of the weights where it names only these
  std::string current_snapshot_identity{};  // "": the base model
  bool readiness = false;
  platform::loading_state loading_state{};
  std::vector<loaded_adapter> loaded_adapters{};
};

void members(auto& visit, is<hot_load_replica> auto& m) {
  visit.sparse("identity", m.identity);
  visit.sparse("current_snapshot_identity", m.current_snapshot_identity);
  visit("readiness", m.readiness);
  visit("loading_state", m.loading_state);
  visit.sparse("loaded_adapters", m.loaded_adapters);
}

struct hot_load_status {  // GET of the same
  std::optional<std::vector<hot_load_replica>> replicas{};
};

void members(auto& visit, is<hot_load_status> auto& m) { visit("replicas", m.replicas); }

}  // namespace wire::platform
}  // namespace gradwire::inline v0
