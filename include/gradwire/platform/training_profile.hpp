// SPDX-License-Identifier: Apache-2.0
// What a version of a training shape provides, as the control plane says it. It is read, never written: a job gets it
// by naming training_shape_version, a deployment by naming deployment_shape_version.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <gradwire/platform/shape_ref.hpp>

namespace gradwire::inline v0 {
namespace platform {

struct training_profile {
  const platform::training_shape_ref training_shape_version{};
  const std::string training_shape{};    // the same without its version
  const std::string base_model{};        // "" where the shape does not say one
  const std::string accelerator_type{};  // "NVIDIA_H200_141GB"; "" where the shape names none
  const std::int64_t accelerator_count = 0;
  const std::int64_t node_count = 1;
  const std::string trainer_image_tag{};
  const std::int64_t max_supported_context_length = 0;    // tokens; 0: not said
  const deployment_shape_ref deployment_shape_version{};  // the linked one; empty: none
  const std::string deployment_image_tag{};
  const std::string base_model_weight_precision{};
  const std::int64_t pipeline_parallelism = 1;
  const std::string trainer_mode{};  // POLICY_TRAINER, FORWARD_ONLY, LORA_TRAINER; others pass; "": POLICY_TRAINER
  const bool latest_validated = false;
  const std::string create_time{};

  bool supports_lora() const noexcept { return trainer_mode == "LORA_TRAINER"; }
  bool is_forward_only() const noexcept { return trainer_mode == "FORWARD_ONLY"; }
  bool is_policy_trainer() const noexcept { return trainer_mode.empty() || trainer_mode == "POLICY_TRAINER"; }
};

// What a shape is wanted for.
enum class shape_role : unsigned char {
  policy,     // full-parameter training: POLICY_TRAINER; with an adapter: LORA_TRAINER, else POLICY_TRAINER
  reference,  // forward only: FORWARD_ONLY, else LORA_TRAINER
};

struct shape_wish {
  std::string base_model{};             // accounts/<a>/models/<m>
  std::int64_t max_context_length = 0;  // tokens that must fit; 0: no wish
  shape_role role = shape_role::policy;
  int lora_rank = 0;
  std::string account = "fireworks";  // whose shapes; "-": everybody's
};

struct shape_list_options {
  std::string account = "fireworks";  // whose shapes; "-": everybody's
  std::string base_model{};           // only of this model; "": of all
  bool latest_validated = true;       // only the version of each that an id stands for
};

}  // namespace platform
}  // namespace gradwire::inline v0
