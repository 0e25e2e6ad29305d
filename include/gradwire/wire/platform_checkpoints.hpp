// SPDX-License-Identifier: Apache-2.0
// Checkpoints of a trainer job, their promotion to models, and the long-running operations of the control plane.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <gradwire/wire/platform_shapes.hpp>
#include <gradwire/wire/platform_status.hpp>

namespace gradwire::inline v0 {
namespace wire::platform {

struct job_checkpoint {
  std::string name{};             // accounts/<a>/rlorTrainerJobs/<j>/checkpoints/<c>
  std::string checkpoint_type{};  // CHECKPOINT_TYPE_INFERENCE_BASE, …_LORA, …_ARC_V2, CHECKPOINT_TYPE_TRAINING, …_LORA
  bool promotable = false;
  std::string create_time{};  // with or without a fraction of a second
  std::string update_time{};
};

void members(auto& visit, is<job_checkpoint> auto& m) {
  visit("name", m.name);
  visit.sparse("checkpointType", m.checkpoint_type);
  visit.sparse("promotable", m.promotable);
  visit.sparse("createTime", m.create_time);
  visit.sparse("updateTime", m.update_time);
}

// GET …/checkpoints?pageSize=200. Servers call the list by one of two names.
struct job_checkpoints_reply {
  std::vector<job_checkpoint> checkpoints{};
  std::vector<job_checkpoint> rlor_trainer_job_checkpoints{};
  std::string next_page_token{};
};

void members(auto& visit, is<job_checkpoints_reply> auto& m) {
  visit.sparse("checkpoints", m.checkpoints);
  visit.sparse("rlorTrainerJobCheckpoints", m.rlor_trainer_job_checkpoints);
  visit.sparse("nextPageToken", m.next_page_token);
}

struct promote_request {  // POST accounts/<a>/checkpoints/<c>:promote; the names are in snake_case on the wire
  std::string output_model{};
  std::string trainer_job_id{};
  std::string base_model{};
  std::optional<std::string> hot_load_deployment_id{};
  std::optional<bool> async_promotion{};
};

void members(auto& visit, is<promote_request> auto& m) {
  visit("output_model", m.output_model);
  visit("trainer_job_id", m.trainer_job_id);
  visit("base_model", m.base_model);
  visit("hot_load_deployment_id", m.hot_load_deployment_id);
  visit("async_promotion", m.async_promotion);
}

// A model is told of as {"@type": …, name, …} in a response, or within {"model": {…}}.
struct operation_response {
  std::string type{};  // "@type"
  std::optional<platform::model> model{};
  std::string name{};
  std::string state{};
  std::string kind{};
  std::optional<platform::peft_details> peft_details{};
};

void members(auto& visit, is<operation_response> auto& m) {
  visit.sparse("@type", m.type);
  visit("model", m.model);
  visit.sparse("name", m.name);
  visit.sparse("state", m.state);
  visit.sparse("kind", m.kind);
  visit("peftDetails", m.peft_details);
}

struct operation {     // GET {operation.name}
  std::string name{};  // accounts/<a>/operations/<id>
  bool done = false;
  std::optional<platform::status> error{};
  std::optional<operation_response> response{};
};

void members(auto& visit, is<operation> auto& m) {
  visit("name", m.name);
  visit.sparse("done", m.done);
  visit("error", m.error);
  visit("response", m.response);
}

struct promote_reply {  // one of the two
  std::optional<platform::operation> operation{};
  std::optional<platform::model> model{};
};

void members(auto& visit, is<promote_reply> auto& m) {
  visit("operation", m.operation);
  visit("model", m.model);
}

}  // namespace wire::platform
}  // namespace gradwire::inline v0
