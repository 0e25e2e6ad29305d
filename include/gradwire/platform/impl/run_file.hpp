// SPDX-License-Identifier: Apache-2.0
// How run_file.hpp works.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradwire/platform/run_file.hpp>
#include <gradwire/transport/server_text.hpp>
#include <gradwire/wire/platform_json.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

// A member of a config by its name; how it is read is known from its type.
struct file_member {
  std::string name;
  std::function<void(const wire::json_reader&)> read;
};

template <class T>
file_member member_of(std::string name, T& value) {
  return {std::move(name), [&value](const wire::json_reader& in) { wire::platform::detail::take(in, value); }};
}

inline std::string spelled(const wire::json_reader& value) {
  std::string text(value.kind() == wire::json_kind::boolean ? (value.flag() ? "true" : "false") : value.text());
  if (value.kind() == wire::json_kind::string) text = "\"" + text + "\"";
  if (value.kind() == wire::json_kind::object) text = "{…}";
  if (value.is_array()) text = "[…]";
  return v0::detail::printable(text, 120);
}

inline bool is_nothing(const wire::json_reader& value) {
  if (value.kind() == wire::json_kind::number) {
    double number = 1;
    const std::string_view text = value.text();
    wire::detail::read_number(text.data(), text.data() + text.size(), number);
    return number == 0;
  }
  return value.is_null() || (value.kind() == wire::json_kind::string && value.text().empty());
}

inline std::string number_text(std::int64_t value) { return value > 0 ? std::to_string(value) : ""; }

inline std::vector<shape_owned_field> owned_by(const training_profile& profile) {
  return {{"accelerator_type", "", profile.accelerator_type},
          {"accelerator_count", "", number_text(profile.accelerator_count)},
          {"node_count", "", number_text(profile.node_count)},
          {"custom_image_tag", "", profile.trainer_image_tag},
          {"max_context_length", "", number_text(profile.max_supported_context_length)},
          {"deployment_shape", "", profile.deployment_shape_version.name()}};
}

inline void read_file(std::string_view json, const training_profile& profile, const std::string& what,
                      const std::vector<file_member>& members) {
  const wire::json_document document(json);
  std::vector<wire::validation_issue> issues;
  const wire::json_reader root(document, issues);
  if (root.kind() != wire::json_kind::object) throw error(errc::config, what + ": the file is no JSON object");
  std::vector<shape_owned_field> offenders;
  std::string unknown, other;
  root.each([&](const wire::json_reader& member) {
    const std::string name = wire::platform::snake_case(member.key());
    for (auto owned : owned_by(profile))
      if (name == owned.name || (owned.name == "deployment_shape" && name == "deployment_shape_version")) {
        if (is_nothing(member)) return;
        owned.given = spelled(member);
        return offenders.push_back(std::move(owned));
      }
    if (name == "training_shape" || name == "training_shape_ref" || name == "training_shape_id") {
      const std::string_view given = member.text();
      if (given != profile.training_shape && given != profile.training_shape_version.name())
        other = "the file is for the training shape " + spelled(member) + ", and the profile is of " +
                profile.training_shape_version.name();
      return;
    }
    for (const auto& known : members)
      if (name == known.name) return known.read(member);
    unknown += (unknown.empty() ? "" : ", ") + v0::detail::printable(member.key(), 80);
  });
  if (!offenders.empty()) {
    std::string sentence = what + ": the training shape " + profile.training_shape_version.name() + " owns ";
    for (std::size_t i = 0; i < offenders.size(); ++i) {
      const auto& each = offenders[i];
      sentence += (i ? ", " : "") + each.name + " (given " + each.given + ", the shape's is " +
                  (each.shape_value.empty() ? "not said" : each.shape_value) + ")";
    }
    sentence += "; take them out of the file, or launch without a shape";
    throw shape_owned_error(sentence, std::move(offenders));
  }
  if (!unknown.empty()) {
    std::string known = "training_shape";
    for (const auto& each : members) known += ", " + each.name;
    throw error(errc::config, what + ": the file has members that are not known: " + unknown + "; there are " + known);
  }
  if (!other.empty()) throw error(errc::config, what + ": " + other);
  if (!issues.empty()) {
    std::string all;
    for (const auto& each : issues)
      all += (all.empty() ? "" : "; ") + wire::validation_error::place(each) + ": " + each.msg;
    throw error(errc::config, what + ": " + all);
  }
}

template <class Config>
std::vector<file_member> job_members(Config& config) {
  return {member_of("base_model", config.base_model),
          member_of("lora_rank", config.lora_rank),
          member_of("display_name", config.display_name),
          member_of("job_id", config.job_id),
          member_of("region", config.region),
          member_of("extra_args", config.extra_args),
          member_of("inactivity_timeout_seconds", config.inactivity_timeout_seconds),
          member_of("disable_inactivity_cleanup", config.disable_inactivity_cleanup),
          member_of("use_reservation", config.use_reservation),
          member_of("reservation_target", config.reservation_target)};
}

}  // namespace detail

GRADWIRE_DECL trainer_job_config read_trainer_job_config(std::string_view json, const training_profile& profile) {
  trainer_job_config config;
  auto members = detail::job_members(config);
  members.push_back(detail::member_of("learning_rate", config.learning_rate));
  members.push_back(detail::member_of("gradient_accumulation_steps", config.gradient_accumulation_steps));
  members.push_back(detail::member_of("hot_load_deployment_id", config.hot_load_deployment_id));
  members.push_back(detail::member_of("trainer_replica_count", config.trainer_replica_count));
  detail::read_file(json, profile, "trainer job from a file", members);
  config.training_shape_ref = profile.training_shape_version;
  return config;
}

GRADWIRE_DECL reference_job_config read_reference_job_config(std::string_view json, const training_profile& profile) {
  reference_job_config config;
  detail::read_file(json, profile, "reference job from a file", detail::job_members(config));
  config.training_shape_ref = profile.training_shape_version;
  return config;
}

GRADWIRE_DECL deployment_config read_deployment_config(std::string_view json, const training_profile& profile) {
  deployment_config config;
  const std::vector<detail::file_member> members = {
      detail::member_of("deployment_id", config.deployment_id),
      detail::member_of("base_model", config.base_model),
      detail::member_of("min_replica_count", config.min_replica_count),
      detail::member_of("max_replica_count", config.max_replica_count),
      detail::member_of("hot_load_trainer_job", config.hot_load_trainer_job),
      detail::member_of("description", config.description),
      detail::member_of("region", config.region),
      detail::member_of("enable_hot_load", config.enable_hot_load),
      detail::member_of("for_training", config.for_training),
      detail::member_of("disable_speculative_decoding", config.disable_speculative_decoding),
      detail::member_of("extra_args", config.extra_args),
      detail::member_of("extra_values", config.extra_values),
      detail::member_of("annotations", config.annotations)};
  detail::read_file(json, profile, "deployment from a file", members);
  config.linked_shape = profile.deployment_shape_version;
  return config;
}

}  // namespace platform
}  // namespace gradwire::inline v0
