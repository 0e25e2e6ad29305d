// SPDX-License-Identifier: Apache-2.0
// From a job's config to the request that creates it. What cannot be right is told here, all of it in one sentence.
#pragma once

#include <charconv>
#include <cmath>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradwire/platform/client_options.hpp>
#include <gradwire/platform/job_config.hpp>
#include <gradwire/transport/server_text.hpp>
#include <gradwire/wire/platform.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

class complaints {
 public:
  void add(std::string sentence) { all_ += (all_.empty() ? "" : "; ") + std::move(sentence); }
  void throw_if_any(const std::string& what) const {
    if (!all_.empty()) throw error(errc::config, what + ": " + all_);
  }

 private:
  std::string all_;
};

inline void check_id(complaints& wrong, const char* member, const std::string& id) {
  if (wire::platform::is_resource_id(id)) return;
  const std::string shown = "'" + v0::detail::printable(id, 80) + "'";
  if (id.size() > wire::platform::longest_id)
    return wrong.add(std::string(member) + " has " + std::to_string(id.size()) + " characters, at most " +
                     std::to_string(wire::platform::longest_id) + " are allowed: " + shown);
  wrong.add(std::string(member) + " " + shown + " may have lower-case letters, digits and '-' only");
}

inline void check_display_name(complaints& wrong, const std::string& name) {
  if (name.size() > 63)
    wrong.add("display_name has " + std::to_string(name.size()) + " characters, at most 63 are allowed");
}

inline void check_base_model(complaints& wrong, const std::string& model) {
  if (model.empty()) wrong.add("base_model is empty; it looks like accounts/fireworks/models/qwen3-8b");
}

// protobuf's duration: "1800s"
inline std::string duration_text(double seconds) {
  char text[64];
  const auto end = std::to_chars(text, text + sizeof text, seconds, std::chars_format::fixed).ptr;
  return std::string(text, end) + "s";
}

inline std::vector<std::string> split_arguments(const std::vector<std::string>& given) {
  std::vector<std::string> all;
  for (const auto& text : given) {
    std::string_view rest = text;
    while (!rest.empty()) {
      const auto end = rest.find_first_of(" \t\r\n");
      if (end != 0) all.emplace_back(rest.substr(0, end));
      if (end == std::string_view::npos) break;
      rest.remove_prefix(end + 1);
    }
  }
  return all;
}

inline std::string fresh_job_id() {
  constexpr const char* digits = "0123456789abcdef";
  std::random_device entropy;
  std::string id = "training-api-service-";
  for (std::uint32_t bits = entropy(), i = 0; i < 8; ++i, bits >>= 4) id += digits[bits & 15];
  return id;
}

struct job_request {
  std::string id{};
  std::string shape{};  // the versioned name; "": none
  wire::platform::create_trainer_job_request body{};
  wire::platform::query_parameters query{};
};

// What the three configs have in common.
template <class Config>
job_request common_request(const Config& config, const client_options& how, complaints& wrong) {
  job_request made;
  check_base_model(wrong, config.base_model);
  if (config.lora_rank < 0)
    wrong.add("lora_rank is " + std::to_string(config.lora_rank) + "; it must be 0 (every parameter) or more");
  check_display_name(wrong, config.display_name);
  made.id = config.job_id.empty() ? fresh_job_id() : config.job_id;
  check_id(wrong, "job_id", made.id);
  if (config.inactivity_timeout_seconds) {
    const double seconds = *config.inactivity_timeout_seconds;
    if (!(seconds >= 0 && seconds <= 10800))
      wrong.add("inactivity_timeout_seconds is " + std::to_string(seconds) + "; it must be from 0 to 10800 (3 hours)");
    else
      made.body.inactivity_timeout = duration_text(seconds);
  }
  made.body.training_config.base_model = config.base_model;
  made.body.training_config.lora_rank = config.lora_rank;
  if (!config.region.empty()) made.body.training_config.region = config.region;
  if (!config.extra_args.empty()) made.body.training_config.extra_args = split_arguments(config.extra_args);
  if (!config.display_name.empty()) made.body.display_name = config.display_name;
  if (config.disable_inactivity_cleanup) made.body.disable_inactivity_cleanup = true;
  if (how.dialect == api_dialect::current) {
    made.body.use_reservation = config.use_reservation && config.reservation_target.empty();
    if (!config.reservation_target.empty()) made.body.reservation_target = config.reservation_target;
  }
  return made;
}

template <class Config>
void add_training(job_request& made, const Config& config, const client_options& how, complaints& wrong) {
  if (!(std::isfinite(config.learning_rate) && config.learning_rate >= 0))
    wrong.add("learning_rate is " + std::to_string(config.learning_rate) + "; it must be 0 or more");
  else
    made.body.training_config.learning_rate = config.learning_rate;
  if (config.gradient_accumulation_steps < 1)
    wrong.add("gradient_accumulation_steps is " + std::to_string(config.gradient_accumulation_steps) +
              "; it must be 1 or more");
  if (how.dialect == api_dialect::early_2026)
    made.body.training_config.gradient_accumulation_steps = config.gradient_accumulation_steps;
  if (config.trainer_replica_count) {
    if (*config.trainer_replica_count < 1) wrong.add("trainer_replica_count must be 1 or more");
    made.body.trainer_replica_count = *config.trainer_replica_count;
  }
  if (config.hot_load_deployment_id.empty()) return;
  check_id(wrong, "hot_load_deployment_id", config.hot_load_deployment_id);
  made.body.hot_load_deployment_id = config.hot_load_deployment_id;
  made.query.emplace_back("deploymentId", config.hot_load_deployment_id);
}

inline void add_shape(job_request& made, const training_shape_ref& shape, complaints& wrong) {
  if (shape.empty())
    wrong.add(
        "training_shape_ref is empty; give resolve_training_profile(id).result().training_shape_version, or use "
        "create_manual() for a launch without a shape");
  made.shape = shape.name();
  made.query.emplace_back("trainingShape", shape.name());
}

inline job_request request_of(const trainer_job_config& config, const client_options& how) {
  complaints wrong;
  auto made = common_request(config, how, wrong);
  add_training(made, config, how, wrong);
  add_shape(made, config.training_shape_ref, wrong);
  made.query.emplace_back("rlorTrainerJobId", made.id);
  wrong.throw_if_any("the trainer job cannot be created");
  return made;
}

inline job_request request_of(const reference_job_config& config, const client_options& how) {
  complaints wrong;
  auto made = common_request(config, how, wrong);
  add_shape(made, config.training_shape_ref, wrong);
  made.body.forward_only = true;
  made.query.emplace_back("rlorTrainerJobId", made.id);
  wrong.throw_if_any("the reference job cannot be created");
  return made;
}

inline job_request request_of(const manual_trainer_job_config& config, const client_options& how, bool forward_only) {
  complaints wrong;
  auto made = common_request(config, how, wrong);
  add_training(made, config, how, wrong);
  auto& body = made.body;
  if (config.accelerator_count < 0) wrong.add("accelerator_count must be 0 (not said) or more");
  if (config.node_count < 1) wrong.add("node_count must be 1 or more");
  if (!config.accelerator_type.empty()) body.training_config.accelerator_type = config.accelerator_type;
  if (config.accelerator_count > 0) body.training_config.accelerator_count = config.accelerator_count;
  if (!config.custom_image_tag.empty()) body.training_config.custom_image_tag = config.custom_image_tag;
  body.training_config.max_context_length = config.max_context_length;
  body.node_count = config.node_count;
  if (forward_only) body.forward_only = true;
  made.query.emplace_back("skipValidations", "true");
  made.query.emplace_back("rlorTrainerJobId", made.id);
  wrong.throw_if_any("the trainer job cannot be created");
  return made;
}

}  // namespace detail
}  // namespace platform
}  // namespace gradwire::inline v0
