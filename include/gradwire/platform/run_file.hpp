// SPDX-License-Identifier: Apache-2.0
// Configs of jobs and deployments out of a JSON file. What a shape owns is refused there too, all of it in one error
// that has the shape's own values; a name that is not known is refused as well. Nothing is dropped in silence.
//
//   {"base_model": "accounts/fireworks/models/qwen3-8b", "lora_rank": 32, "display_name": "grpo-run"}
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradwire/error.hpp>
#include <gradwire/platform/deployment.hpp>
#include <gradwire/platform/job_config.hpp>
#include <gradwire/platform/training_profile.hpp>
#include <gradwire/transport/config.hpp>

namespace gradwire::inline v0 {
namespace platform {

struct shape_owned_field {
  std::string name{};
  std::string given{};        // as the file has it
  std::string shape_value{};  // what the shape says; "": it says nothing
};

// A file names what the training shape owns.
class shape_owned_error : public error {
 public:
  shape_owned_error(const std::string& sentence, std::vector<shape_owned_field> fields)
      : error(errc::config, sentence), fields_(std::move(fields)) {}
  const std::vector<shape_owned_field>& fields() const noexcept { return fields_; }

 private:
  std::vector<shape_owned_field> fields_;
};

// Names in snake_case or camelCase. A member with null, "" or 0 counts as not there. "training_shape" or
// "training_shape_ref" may stand there when it is the profile's.
GRADWIRE_DECL trainer_job_config read_trainer_job_config(std::string_view json, const training_profile& profile);
GRADWIRE_DECL reference_job_config read_reference_job_config(std::string_view json, const training_profile& profile);
GRADWIRE_DECL deployment_config read_deployment_config(std::string_view json, const training_profile& profile);

}  // namespace platform
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/platform/impl/run_file.hpp>
#endif
