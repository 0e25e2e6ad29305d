// SPDX-License-Identifier: Apache-2.0
// Trainer jobs (rlorTrainerJobs): what creates one, and what the control plane tells of it. The id, the shape and the
// deployment stand in the query: deploymentId, trainingShape, skipValidations, rlorTrainerJobId, in this order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <gradwire/wire/platform_json.hpp>
#include <gradwire/wire/platform_status.hpp>

namespace gradwire::inline v0 {
namespace wire::platform {

struct training_config {
  std::string base_model{};
  std::int64_t lora_rank = 0;
  double learning_rate = 1e-5;
  std::optional<std::int64_t> max_context_length{};
  std::optional<std::string> custom_image_tag{};    // without a shape
  std::optional<std::string> accelerator_type{};    // …
  std::optional<std::int64_t> accelerator_count{};  // …
  std::optional<std::string> region{};
  std::optional<std::vector<std::string>> extra_args{};
  std::optional<std::int64_t> gradient_accumulation_steps{};  // the dialect of early 2026 only
};

void members(auto& visit, is<training_config> auto& m) {
  visit("baseModel", m.base_model);
  visit("loraRank", m.lora_rank);
  visit("learningRate", m.learning_rate);
  visit("maxContextLength", m.max_context_length);
  visit("customImageTag", m.custom_image_tag);
  visit("acceleratorType", m.accelerator_type);
  visit("acceleratorCount", m.accelerator_count);
  visit("region", m.region);
  visit("extraArgs", m.extra_args);
  visit("gradientAccumulationSteps", m.gradient_accumulation_steps);
}

struct create_trainer_job_request {  // POST accounts/<a>/rlorTrainerJobs?…
  bool service_mode = true;
  bool keep_alive = false;
  std::string dataset{};
  platform::training_config training_config{};
  std::optional<std::int64_t> trainer_replica_count{};
  std::optional<std::int64_t> node_count{};  // without a shape
  std::optional<std::string> display_name{};
  std::optional<std::string> hot_load_deployment_id{};
  std::optional<std::string> purpose{};
  std::optional<std::string> managed_by{};
  std::optional<bool> forward_only{};
  std::optional<bool> preemptible{};
  std::optional<bool> disable_inactivity_cleanup{};
  std::optional<std::string> inactivity_timeout{};  // "1800s"
  std::optional<bool> use_reservation{};
  std::optional<std::string> reservation_target{};
};

void members(auto& visit, is<create_trainer_job_request> auto& m) {
  visit("serviceMode", m.service_mode);
  visit("keepAlive", m.keep_alive);
  visit("dataset", m.dataset);
  visit("trainingConfig", m.training_config);
  visit("trainerReplicaCount", m.trainer_replica_count);
  visit("nodeCount", m.node_count);
  visit("displayName", m.display_name);
  visit("hotLoadDeploymentId", m.hot_load_deployment_id);
  visit("purpose", m.purpose);
  visit("managedBy", m.managed_by);
  visit("forwardOnly", m.forward_only);
  visit("preemptible", m.preemptible);
  visit("disableInactivityCleanup", m.disable_inactivity_cleanup);
  visit("inactivityTimeout", m.inactivity_timeout);
  visit("useReservation", m.use_reservation);
  visit("reservationTarget", m.reservation_target);
}

// Text, or an object whose text stands in one of four members.
struct status_text {
  std::string code{};
  std::string text{};

  bool empty() const noexcept { return code.empty() && text.empty(); }
  void put(json_writer& out) const {
    out.begin_object();
    if (!code.empty()) out.key("code").string(code);
    out.key("message").string(text);
    out.end_object();
  }
  void take(const json_reader& in) {
    if (in.kind() == json_kind::string) return void(text = in.text());
    in.member("code", [&](const json_reader& found) {
      status_code read_code;
      read_code.take(found);
      code = read_code.name;
    });
    for (const char* name : {"message", "statusMessage", "status_message", "detail", "details"})
      in.member(name, [&](const json_reader& found) {
        if (text.empty() && found.kind() == json_kind::string) text = found.text();
      });
  }
};

struct trainer_job {   // GET accounts/<a>/rlorTrainerJobs/<id>
  std::string name{};  // accounts/<a>/rlorTrainerJobs/<id>
  std::string display_name{};
  std::string state{};  // "JOB_STATE_RUNNING"; others than the known ones pass
  status_text status{};
  std::string status_message{};  // some servers say it here …
  std::string message{};         // … or here
  std::string direct_route_handle{};
  platform::training_config training_config{};
  std::string training_shape{};  // the versioned name
  std::int64_t node_count = 0;
  bool forward_only = false;
  bool service_mode = false;
  bool keep_alive = false;
  std::string hot_load_deployment_id{};
  std::string create_time{};
  std::string completed_time{};
  std::string created_by{};

  // Why it is in its state, "" when nothing is said.
  const std::string& why() const noexcept {
    return !status_message.empty() ? status_message : !message.empty() ? message : status.text;
  }
};

void members(auto& visit, is<trainer_job> auto& m) {
  visit("name", m.name);
  visit.sparse("displayName", m.display_name);
  visit("state", m.state);
  visit.sparse("status", m.status);
  visit.sparse("statusMessage", m.status_message);
  visit.sparse("message", m.message);
  visit.sparse("directRouteHandle", m.direct_route_handle);
  visit("trainingConfig", m.training_config);
  visit.sparse("trainingShape", m.training_shape);
  visit.sparse("nodeCount", m.node_count);
  visit.sparse("forwardOnly", m.forward_only);
  visit.sparse("serviceMode", m.service_mode);
  visit.sparse("keepAlive", m.keep_alive);
  visit.sparse("hotLoadDeploymentId", m.hot_load_deployment_id);
  visit.sparse("createTime", m.create_time);
  visit.sparse("completedTime", m.completed_time);
  visit.sparse("createdBy", m.created_by);
}

struct trainer_jobs_reply {  // GET accounts/<a>/rlorTrainerJobs
  std::vector<trainer_job> rlor_trainer_jobs{};
  std::string next_page_token{};
  std::int64_t total_size = 0;
};

void members(auto& visit, is<trainer_jobs_reply> auto& m) {
  visit("rlorTrainerJobs", m.rlor_trainer_jobs);
  visit.sparse("nextPageToken", m.next_page_token);
  visit.sparse("totalSize", m.total_size);
}

// {}: the body of calls that take an object with nothing in it.
struct empty_object {};
void members(auto&, is<empty_object> auto&) {}

}  // namespace wire::platform
}  // namespace gradwire::inline v0
