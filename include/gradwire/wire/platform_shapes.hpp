// SPDX-License-Identifier: Apache-2.0
// Accounts, models and training shapes, as the control plane tells of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gradwire/wire/platform_json.hpp>

namespace gradwire::inline v0 {
namespace wire::platform {

struct account {
  std::string name{};  // accounts/<id>
  std::string display_name{};
  std::string state{};
};

void members(auto& visit, is<account> auto& m) {
  visit("name", m.name);
  visit.sparse("displayName", m.display_name);
  visit.sparse("state", m.state);
}

struct accounts_reply {  // GET accounts?pageSize=2
  std::vector<account> accounts{};
  std::string next_page_token{};
};

void members(auto& visit, is<accounts_reply> auto& m) {
  visit("accounts", m.accounts);
  visit.sparse("nextPageToken", m.next_page_token);
}

struct base_model_details {
  std::string model_type{};
  std::int64_t parameter_count = 0;
  bool moe = false;
};

void members(auto& visit, is<base_model_details> auto& m) {
  visit.sparse("modelType", m.model_type);
  visit.number("parameterCount", m.parameter_count);
  visit("moe", m.moe);  // also false: clients ask for it
}

struct peft_details {
  std::string base_model{};
  std::int64_t r = 0;
};

void members(auto& visit, is<peft_details> auto& m) {
  visit.sparse("baseModel", m.base_model);
  visit.sparse("r", m.r);
}

struct model {  // GET {accounts/<a>/models/<m>}
  std::string name{};
  std::string display_name{};
  std::string state{};  // "READY"
  std::string kind{};   // "HF_BASE_MODEL", "HF_PEFT_ADDON"
  std::optional<platform::base_model_details> base_model_details{};
  std::optional<platform::peft_details> peft_details{};
  std::string create_time{};
};

void members(auto& visit, is<model> auto& m) {
  visit("name", m.name);
  visit.sparse("displayName", m.display_name);
  visit.sparse("state", m.state);
  visit.sparse("kind", m.kind);
  visit("baseModelDetails", m.base_model_details);
  visit("peftDetails", m.peft_details);
  visit.sparse("createTime", m.create_time);
}

// "POLICY_TRAINER", "FORWARD_ONLY", "LORA_TRAINER", or the enum's number. "": a policy trainer.
struct trainer_mode {
  std::string name{};

  bool empty() const noexcept { return name.empty(); }
  void put(json_writer& out) const { out.string(name); }
  void take(const json_reader& in) {
    constexpr std::string_view names[] = {"", "POLICY_TRAINER", "FORWARD_ONLY", "LORA_TRAINER"};
    name = in.text();
    if (in.kind() == json_kind::number && name.size() == 1 && name[0] >= '0' && name[0] <= '3')
      name = names[name[0] - '0'];
    if (name == "TRAINER_MODE_UNSPECIFIED") name.clear();
  }
};

struct sharding_scheme {
  std::int64_t pipeline_parallelism = 0;
};

void members(auto& visit, is<sharding_scheme> auto& m) { visit.sparse("pipelineParallelism", m.pipeline_parallelism); }

// What a version of a shape provides. 0 and "" are not there on the wire.
struct shape_snapshot {
  std::string base_model{};
  std::string model_type{};
  std::int64_t parameter_count = 0;
  platform::trainer_mode trainer_mode{};
  std::string trainer_image_tag{};
  std::int64_t max_supported_context_length = 0;
  std::int64_t node_count = 0;  // left out: 1
  std::string accelerator_type{};
  std::int64_t accelerator_count = 0;
  std::string deployment_shape_version{};
  std::string deployment_image_tag{};
  std::string base_model_weight_precision{};
  std::optional<sharding_scheme> trainer_sharding_scheme{};
};

void members(auto& visit, is<shape_snapshot> auto& m) {
  visit.sparse("baseModel", m.base_model);
  visit.sparse("modelType", m.model_type);
  visit.number("parameterCount", m.parameter_count);
  visit.sparse("trainerMode", m.trainer_mode);
  visit.sparse("trainerImageTag", m.trainer_image_tag);
  visit.sparse("maxSupportedContextLength", m.max_supported_context_length);
  visit.sparse("nodeCount", m.node_count);
  visit.sparse("acceleratorType", m.accelerator_type);
  visit.sparse("acceleratorCount", m.accelerator_count);
  visit.sparse("deploymentShapeVersion", m.deployment_shape_version);
  visit.sparse("deploymentImageTag", m.deployment_image_tag);
  visit.sparse("baseModelWeightPrecision", m.base_model_weight_precision);
  visit("trainerShardingScheme", m.trainer_sharding_scheme);
}

struct training_shape_version {  // GET {shape}/versions/{v}
  std::string name{};            // accounts/<a>/trainingShapes/<s>/versions/<v>
  shape_snapshot snapshot{};
  bool validated = false;
  bool latest_validated = false;
  bool public_ = false;
  std::string create_time{};
};

void members(auto& visit, is<training_shape_version> auto& m) {
  visit("name", m.name);
  visit("snapshot", m.snapshot);
  visit.sparse("validated", m.validated);
  visit.sparse("latestValidated", m.latest_validated);
  visit.sparse("public", m.public_);
  visit.sparse("createTime", m.create_time);
}

struct training_shape_versions_reply {  // GET {shape}/versions, and accounts/-/trainingShapes/-/versions
  std::vector<training_shape_version> training_shape_versions{};
  std::string next_page_token{};
  std::int64_t total_size = 0;
};

void members(auto& visit, is<training_shape_versions_reply> auto& m) {
  visit("trainingShapeVersions", m.training_shape_versions);
  visit.sparse("nextPageToken", m.next_page_token);
  visit.sparse("totalSize", m.total_size);
}

}  // namespace wire::platform
}  // namespace gradwire::inline v0
